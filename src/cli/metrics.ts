import {Flags} from '@oclif/core'

import {writeWhole} from './atomic-file.js'

/** One series of a metric. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>
  /** Booleans are 1 and 0. */
  readonly value: boolean | number
}

/** A metric in Prometheus' text format. Names begin with `kloset_oci_`, units are in them: `_bytes`, `_seconds`. */
export interface Metric {
  readonly help: string
  readonly name: string
  readonly samples: readonly Sample[]
  /** Default `gauge`: a textfile tells of the last run, and nothing in it counts on from run to run. */
  readonly type?: 'counter' | 'gauge'
}

export const metricsFlag = {
  metrics: Flags.string({
    description: 'also write the result as Prometheus metrics, for the textfile collector: a name that ends in .prom',
    helpGroup: 'OUTPUT',
    helpValue: 'FILE',
  }),
}

/** Every metric needs the same labels: which store it is about, at least. */
export function gauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return {help, name: `kloset_oci_${name}`, samples}
}

/** Samples that all have the same labels. */
export interface Samples {
  /** One series for each name, the name under a label of its own. */
  readonly by: (label: string, values: Readonly<Record<string, boolean | number>>) => Sample[]
  readonly one: (value: boolean | number) => Sample[]
}

export function samplesOf(labels: Readonly<Record<string, string>>): Samples {
  return {
    by: (label, values) => Object.entries(values).map(([name, value]) => ({labels: {...labels, [label]: name}, value})),
    one: (value) => [{labels, value}],
  }
}

/** @see https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format */
export function formatMetrics(metrics: readonly Metric[]): string {
  const lines = metrics.flatMap(({help, name, samples, type = 'gauge'}) => [
    `# HELP ${name} ${help.replaceAll('\\', String.raw`\\`).replaceAll('\n', String.raw`\n`)}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(({labels = {}, value}) => `${name}${labelText(labels)} ${Number(value)}`),
  ])
  return lines.map((line) => `${line}\n`).join('')
}

/**
 * Replaces the file as a whole: who scrapes it sees this run or the last one, never a half. Where the run failed do not
 * call it: an old file with an old timestamp is what an alarm looks for.
 */
export async function writeMetrics(path: string, metrics: readonly Metric[]): Promise<void> {
  await writeWhole(path, Buffer.from(formatMetrics(metrics)))
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escapeLabel(value: string): string {
  return value
    .replaceAll('\\', String.raw`\\`)
    .replaceAll('"', String.raw`\"`)
    .replaceAll('\n', String.raw`\n`)
}
