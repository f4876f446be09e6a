/**
 * A whole repository copied from one registry to another, by us and by oras, crane, skopeo and regctl, each as whole
 * processes, in turn, in the same run. Two stores: few large packfiles, and many small objects.
 * Who takes longer than the limit for one run is stopped and left out: a process for each of thousands of tags takes
 * minutes.
 * Usage: npx tsx bench/copy.ts [MiB of a packfile] [packfiles] [small objects] [rounds] [seconds for one run]
 */
import {randomBytes} from 'node:crypto'

import {newConfiguration, sealConfiguration} from '../src/kloset/configuration.js'
import {createStore} from '../src/kloset/create.js'
import {macFromBytes} from '../src/kloset/mac.js'
import {type Resource} from '../src/kloset/resource.js'
import {openRepository} from '../src/registry/open.js'
import {bufferSource} from '../src/util/content-source.js'
import {PROGRAM} from '../test/helpers/cli.js'
import {findPeer, stopPeers} from '../test/helpers/peers.js'
import {launchRegistry, PROGRAMS} from '../test/helpers/registries.js'
import {type Contender, execute, sideBySide, table, warmUp} from './lib/measure.js'

const [MIB = 32, PACKFILES = 8, SMALL = 1000, ROUNDS = 3, LIMIT = 60] = process.argv.slice(2).map(Number)
const LIMIT_MS = LIMIT * 1000
const SMALL_BYTES = 16 * 1024
const PARALLEL = 8

/** How many processes of a tool that copies one tag at a time run together. */
const PROCESSES = 4

let serial = 0

/** A repository that nothing was copied into before. */
function fresh(host: string): string {
  serial += 1
  return `${host}/run${serial}`
}

async function fill(
  location: string,
  count: number,
  {bytes, resource}: {bytes: number; resource: Resource},
): Promise<number> {
  const repository = await openRepository(`oci://${location}`, {concurrency: PARALLEL})
  try {
    const configuration = newConfiguration({compression: 'none', now: Date.now()})
    const store = await createStore(repository, await sealConfiguration(configuration))
    for (let done = 0; done < count; done += PARALLEL) {
      const batch = Array.from({length: Math.min(PARALLEL, count - done)}, async () =>
        store.put(resource, macFromBytes(randomBytes(32)), bufferSource(randomBytes(bytes))),
      )
      await Promise.all(batch)
    }

    return count * bytes
  } finally {
    await repository.close()
  }
}

/** Runs one process for each tag, some at the same time. */
async function forEachTag(
  source: string,
  signal: AbortSignal | undefined,
  run: (tag: string) => Promise<unknown>,
): Promise<void> {
  const repository = await openRepository(`oci://${source}`)
  const tags: string[] = []
  for await (const tag of repository.tags()) tags.push(tag)
  await repository.close()
  let done = 0
  const next = tags[Symbol.iterator]()
  const worker = async () => {
    for (const tag of next) {
      await run(tag).catch((error: unknown) => {
        throw signal?.aborted ? new Error(`${done} of ${tags.length} tags were copied by then`) : error
      })
      done += 1
    }
  }

  await Promise.all(Array.from({length: PROCESSES}, worker))
}

/** Tools that are on PATH, with the form that each has for a whole repository. */
function contenders(source: string, target: string, program: string): Contender[] {
  const hosts = [source.split('/')[0]!, target].flatMap((host) => ['--host', `reg=${host},tls=disabled`])
  const plain = ['--src', 'docker', '--dest', 'docker', '--src-tls-verify=false', '--dest-tls-verify=false']
  const jobs = String(PARALLEL)
  const whole = (name: string, program: string, args: (to: string) => readonly string[]): Contender => ({
    name,
    run: async (signal) => execute(program, args(fresh(target)), {signal}),
  })
  const tagByTag = (
    name: string,
    program: string,
    args: (from: string, to: string) => readonly string[],
  ): Contender => ({
    name: `${name}, ${PROCESSES} processes`,
    async run(signal) {
      const to = fresh(target)
      await forEachTag(source, signal, async (tag) =>
        execute(program, args(`${source}:${tag}`, `${to}:${tag}`), {signal}),
      )
    },
  })
  /** Into a registry of its own each time: one that knows a registry mounts there what it has ever put into it. */
  const afresh = (name: string, copy: (to: string, signal: AbortSignal | undefined) => Promise<unknown>): Contender => {
    let host = ''
    return {
      name,
      async prepare() {
        ;({host} = await launchRegistry('registry3', program))
      },
      run: async (signal) => copy(fresh(host), signal),
    }
  }

  const all: Readonly<Record<string, readonly Contender[]>> = {
    crane: [
      whole(`crane copy --all-tags --jobs ${jobs}`, 'crane', (to) => [
        'copy',
        '--all-tags',
        '--jobs',
        jobs,
        source,
        to,
      ]),
    ],
    oras: [
      tagByTag('oras cp -r', 'oras', (from, to) => [
        'cp',
        '-r',
        '--no-tty',
        '--from-plain-http',
        '--to-plain-http',
        from,
        to,
      ]),
    ],
    regctl: [
      whole('regctl repo copy', 'regctl', (to) => [...hosts, 'repo', 'copy', source, to]),
      tagByTag('regctl image copy', 'regctl', (from, to) => [...hosts, 'image', 'copy', from, to]),
    ],
    skopeo: [
      afresh('skopeo sync', async (to, signal) => execute('skopeo', ['sync', '--all', ...plain, source, to], {signal})),
    ],
  }
  return [
    whole('kloset-oci copy', process.execPath, (to) => [
      PROGRAM,
      'copy',
      `oci://${source}`,
      `oci://${to}`,
      '--concurrency',
      jobs,
    ]),
    ...Object.entries(all).flatMap(([program, its]) => (findPeer(program) ? its : [])),
  ]
}

async function main(): Promise<void> {
  const program = findPeer(PROGRAMS.registry3)
  if (!program) throw new Error(`${PROGRAMS.registry3} is not on PATH`)
  const [from, to] = [await launchRegistry('registry3', program), await launchRegistry('registry3', program)]
  for (const {bytes, count, resource, what} of [
    {bytes: MIB * 1024 * 1024, count: PACKFILES, resource: 'packfile', what: `${PACKFILES} packfiles of ${MIB} MiB`},
    {bytes: SMALL_BYTES, count: SMALL, resource: 'state', what: `${SMALL} states of 16 KiB`},
  ] as const) {
    if (count === 0) continue
    const source = `${from.host}/${resource}s`
    const total = await fill(source, count, {bytes, resource})
    const timings = await sideBySide(await warmUp(contenders(source, to.host, program), LIMIT_MS), ROUNDS, {
      isWarm: true,
    })
    console.log(`\n${table(what, timings, total)}`)
  }
}

try {
  await main()
} finally {
  await stopPeers()
}
