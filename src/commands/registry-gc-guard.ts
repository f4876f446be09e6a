import {Flags} from '@oclif/core'

import type {ProbeName, ProbeResult} from '../registry/probe/probe.js'

import {StoreCommand, type StoreFlags} from '../base-command/store-command.js'
import {textArg} from '../cli/args.js'
import {connectionOptions} from '../cli/connection.js'
import {describe} from '../cli/describe.js'
import {plural} from '../cli/format.js'
import {adviceLines} from '../cli/guard.js'
import {exitCodeOf, probeLine, summaryLine} from '../cli/probes.js'
import {InvalidArgumentError} from '../errors.js'
import {EXIT} from '../exit-codes.js'
import {
  COMMON,
  type Product,
  PRODUCT_IDS,
  type ProductId,
  productOf,
  productOfHost,
  PRODUCTS,
  TAG_RULES,
} from '../registry/products.js'
import {parseLocation} from '../registry/reference.js'

export interface RegistryGcGuardResult {
  readonly common: typeof COMMON
  /** What was tried out; nothing for a product's name. */
  readonly probes: readonly ProbeResult[]
  readonly product?: Pick<Product, 'advice' | 'id' | 'name' | 'uncertain'>
  readonly tagRules: typeof TAG_RULES
  readonly target?: string
}

/** What of `doctor` is about things that can be set. */
const CONCERNED: ReadonlySet<ProbeName> = new Set([
  'api',
  'cleanup',
  'delete-digest',
  'delete-tag',
  'limits',
  'manifest',
  'paging',
  'pull',
  'push',
  'referrers',
  'tag-mutability',
  'untagged',
])

export default class RegistryGcGuard extends StoreCommand {
  static override args = {
    target: textArg({description: `a store, or one of ${PRODUCT_IDS.join(', ')}`}),
  }

  static override description = describe(
    `Says what to set on a registry so that nothing deletes, expires or freezes what a store needs: immutability with the
exceptions that locks need, retention, clean-up of untagged manifests, garbage collection, deletion, limits. Given a store, it
also tries out what can be tried, with objects of its own that it removes again. The product is known by its host name or by
its answers; else name it with --product. It is advice: the settings themselves the registry API does not show.`,
    EXIT.notFound,
  )

  static override examples = [
    {command: '<%= config.bin %> <%= command.id %> harbor', description: 'what to set on a product'},
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --product distribution-3',
      description: 'and whether it is so',
    },
  ]

  static override flags = {
    product: Flags.string({description: 'which product it is', options: [...PRODUCT_IDS]}),
    'read-only': Flags.boolean({description: 'write nothing: what only writing can tell is not tried out'}),
  }

  static override summary = 'say what to set on a registry so that a store survives there'

  async run(): Promise<RegistryGcGuardResult> {
    const {args, flags} = await this.parse(RegistryGcGuard)
    const {target} = args
    const named = flags.product as ProductId | undefined
    if (target === undefined || !target.includes(':')) {
      const id = (target as ProductId | undefined) ?? named
      if (id !== undefined && !PRODUCT_IDS.includes(id)) {
        throw new InvalidArgumentError(`${id.slice(0, 80)}: neither a store nor a product that is known`, {
          suggestions: [`Products: ${PRODUCT_IDS.join(', ')}.`],
        })
      }

      return this.#tell(id === undefined ? undefined : productOf(id), [])
    }

    const probes: ProbeResult[] = []
    const product = await this.#probe(target, flags, (result) => {
      if (CONCERNED.has(result.name)) probes.push(result)
    })
    this.exitWith(exitCodeOf(probes))
    return this.#tell(named === undefined ? product : productOf(named), probes, target)
  }

  async #probe(
    location: string,
    flags: StoreFlags & {readonly 'read-only': boolean},
    onResult: (result: ProbeResult) => void,
  ): Promise<Product | undefined> {
    const [{openProbe}, {probeRepository}, {recogniseProduct}] = await Promise.all([
      import('../registry/probe/open-probe.js'),
      import('../registry/probe/probe.js'),
      import('../registry/probe/recognise.js'),
    ])
    const {signal} = this
    const options = await connectionOptions(flags, {signal, userAgent: this.config.userAgent})
    const opened = await openProbe(location, {...options, signal})
    try {
      const readOnly = flags['read-only']
      await probeRepository(opened.repository, opened.context, {onResult, readOnly, signal})
      const parsed = parseLocation(location)
      const byHost = parsed.kind === 'registry' ? productOfHost(parsed.reference.registry) : undefined
      return byHost ?? (opened.context && (await recogniseProduct(opened.context, {signal})))
    } finally {
      await opened.close()
    }
  }

  #tell(product: Product | undefined, probes: readonly ProbeResult[], target?: string): RegistryGcGuardResult {
    const known = product?.name ?? 'not known: the advice is what holds everywhere (--product names it)'
    const lines = probes.filter(({status}) => status !== 'skip').flatMap((result) => probeLine(result))
    this.print(
      `product  ${known}`,
      '',
      ...adviceLines(product),
      ...(lines.length > 0 ? ['', ...lines, '', summaryLine(probes)] : []),
    )
    if (!product) this.note(`${plural(PRODUCTS.length, 'product')} are known: ${PRODUCT_IDS.join(', ')}`)
    const {advice, id, name, uncertain} = product ?? {}
    return {
      common: COMMON,
      probes,
      ...(advice && id && name !== undefined && uncertain && {product: {advice, id, name, uncertain}}),
      tagRules: TAG_RULES,
      ...(target !== undefined && {target}),
    }
  }
}
