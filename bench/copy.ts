/**
 * A whole repository copied from one registry to another, by us and by oras, crane, skopeo and regctl, each as whole
 * processes, in turn, in the same run. Two stores: few large packfiles, and many small objects.
 * Usage: npx tsx bench/copy.ts [MiB of a packfile] [packfiles] [small objects] [rounds]
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
import {type Contender, execute, sideBySide, table} from './lib/measure.js'

const [MIB = 32, PACKFILES = 8, SMALL = 300, ROUNDS = 3] = process.argv.slice(2).map(Number)
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
async function forEachTag(source: string, run: (tag: string) => Promise<unknown>): Promise<void> {
  const repository = await openRepository(`oci://${source}`)
  const tags: string[] = []
  for await (const tag of repository.tags()) tags.push(tag)
  await repository.close()
  const next = tags[Symbol.iterator]()
  const worker = async () => {
    for (const tag of next) await run(tag)
  }

  await Promise.all(Array.from({length: PROCESSES}, worker))
}

/** Tools that are on PATH, with the form that each has for a whole repository. */
function contenders(source: string, target: string): Contender[] {
  const hosts = [source.split('/')[0]!, target].flatMap((host) => ['--host', `reg=${host},tls=disabled`])
  const all: (Contender & {readonly program?: string})[] = [
    {
      name: 'kloset-oci copy',
      run: async () =>
        execute(process.execPath, [
          PROGRAM,
          'copy',
          `oci://${source}`,
          `oci://${fresh(target)}`,
          '--concurrency',
          String(PARALLEL),
        ]),
    },
    {
      name: `crane copy --all-tags --jobs ${PARALLEL}`,
      program: 'crane',
      run: async () => execute('crane', ['copy', '--all-tags', '--jobs', String(PARALLEL), source, fresh(target)]),
    },
    {
      name: 'regctl repo copy',
      program: 'regctl',
      run: async () => execute('regctl', [...hosts, 'repo', 'copy', source, fresh(target)]),
    },
    {
      name: 'skopeo sync',
      program: 'skopeo',
      run: async () =>
        execute('skopeo', [
          'sync',
          '--all',
          '--src',
          'docker',
          '--dest',
          'docker',
          '--src-tls-verify=false',
          '--dest-tls-verify=false',
          source,
          fresh(target),
        ]),
    },
    {
      name: `oras cp -r, ${PROCESSES} processes`,
      program: 'oras',
      async run() {
        const to = fresh(target)
        await forEachTag(source, async (tag) =>
          execute('oras', [
            'cp',
            '-r',
            '--no-tty',
            '--from-plain-http',
            '--to-plain-http',
            `${source}:${tag}`,
            `${to}:${tag}`,
          ]),
        )
      },
    },
    {
      name: `regctl image copy, ${PROCESSES} processes`,
      program: 'regctl',
      async run() {
        const to = fresh(target)
        await forEachTag(source, async (tag) =>
          execute('regctl', [...hosts, 'image', 'copy', `${source}:${tag}`, `${to}:${tag}`]),
        )
      },
    },
  ]
  return all.filter(({program}) => program === undefined || findPeer(program))
}

/** Leaves out, and names, what cannot copy such a repository at all. */
async function able(all: readonly Contender[]): Promise<Contender[]> {
  const able: Contender[] = []
  for (const contender of all) {
    try {
      await contender.run()
      able.push(contender)
    } catch (error) {
      console.log(`${contender.name}: left out: ${error instanceof Error ? error.message.slice(-300) : String(error)}`)
    }
  }

  return able
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
    const timings = await sideBySide(await able(contenders(source, to.host)), ROUNDS)
    console.log(`\n${table(what, timings, total)}`)
  }
}

try {
  await main()
} finally {
  await stopPeers()
}
