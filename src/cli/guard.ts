import {COMMON, type Product, TAG_RULES, TOPICS} from '../registry/products.js'
import {paint} from './colors.js'
import {table} from './format.js'

/** What to set, everywhere or on one product, as lines for a person. */
export function adviceLines(product: Product | undefined): string[] {
  const rules = table([
    ['must stay mutable and deletable', TAG_RULES.mutable],
    ['may be immutable', TAG_RULES.written],
    ['throw-away tags of doctor and rm', TAG_RULES.ours],
  ])
  return [
    paint.bold('tags'),
    ...rules.map((line) => `  ${line}`),
    ...TOPICS.flatMap((topic) => [
      paint.bold(topic),
      ...COMMON[topic].map((text) => `  - ${text}`),
      ...(product?.advice[topic] ?? []).map((text) => `  - ${product!.name}: ${text}`),
    ]),
    ...(product && product.uncertain.length > 0
      ? [paint.bold('not certain'), ...product.uncertain.map((text) => `  - ${product.name}: ${text}`)]
      : []),
  ]
}
