/**
 * put and get of large objects against oras, crane and skopeo, each as a whole process on the same registry in the same
 * run, and requests per object against the official plugin's. Usage: npx tsx bench/registry.ts [MiB] [rounds]
 */
import {randomBytes} from 'node:crypto'
import {closeSync, mkdirSync, openSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {finished} from 'node:stream/promises'

import {parseMac} from '../src/kloset/mac.js'
import {KlosetStore} from '../src/kloset/store.js'
import {digestOf, parseDigest} from '../src/registry/digest.js'
import {openRepository} from '../src/registry/open.js'
import {bufferSource, fileSource} from '../src/util/content-source.js'
import {drain} from '../src/util/drain.js'
import {writeFullyNow} from '../src/util/write-fully.js'
import {PROGRAM} from '../test/helpers/cli.js'
import {scratchDir} from '../test/helpers/hooks.js'
import {findPeer, stopPeers} from '../test/helpers/peers.js'
import {findOfficialPlugin, findPlakar, startPlakar} from '../test/helpers/plakar.js'
import {launchRegistry, PROGRAMS} from '../test/helpers/registries.js'
import {type Contender, execute, sideBySide, table} from './lib/measure.js'
import {startCountingProxy} from './lib/proxy.js'

const MIB = Number(process.argv[2] ?? 64)
const ROUNDS = Number(process.argv[3] ?? 7)
const BYTES = MIB * 1024 * 1024

const IN_LIBRARY = 'the library, in a process that runs'

/** Objects after which V8 has compiled what a process that runs needs, so that it is measured as such. */
const WARM = 5

let serial = 0
/** A name that was never used: nothing is skipped because it is there already. */
function fresh(): string {
  serial += 1
  return `run${serial}`
}

/** Runs our own program, as an operator does. */
async function node(args: readonly string[]): Promise<void> {
  await execute(process.execPath, [PROGRAM, ...args])
}

/** Numbers from 0 on: which round a contender is in. */
function counter(): () => number {
  let count = -1
  return () => {
    count += 1
    return count
  }
}

/** A new object: the same bytes again would not be sent again. */
function newObject(folder: string): {file: string; mac: string; name: string} {
  const name = fresh()
  const file = join(folder, name)
  const bytes = randomBytes(BYTES)
  writeFileSync(file, bytes)
  return {file, mac: digestOf(bytes).slice('sha256:'.length), name}
}

/** The object as an image layout, which is what crane and skopeo push. */
function asLayout(folder: string, file: string, bytes: Buffer): string {
  const layout = join(folder, `${fresh()}.oci`)
  mkdirSync(join(layout, 'blobs/sha256'), {recursive: true})
  const add = (content: Buffer) => {
    const digest = digestOf(content)
    writeFileSync(join(layout, 'blobs/sha256', digest.slice('sha256:'.length)), content)
    return {digest, size: content.length}
  }

  const config = add(Buffer.from(JSON.stringify({architecture: 'amd64', os: 'linux', rootfs: {type: 'layers'}})))
  const manifest = add(
    Buffer.from(
      JSON.stringify({
        config: {...config, mediaType: 'application/vnd.oci.image.config.v1+json'},
        layers: [{...add(bytes), mediaType: 'application/vnd.oci.image.layer.v1.tar'}],
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        schemaVersion: 2,
      }),
    ),
  )
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  writeFileSync(
    join(layout, 'index.json'),
    JSON.stringify({
      manifests: [
        {
          ...manifest,
          annotations: {'org.opencontainers.image.ref.name': 'it'},
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
        },
      ],
      schemaVersion: 2,
    }),
  )
  return layout
}

async function throughput(host: string, folder: string): Promise<void> {
  const store = `oci://${host}/bench/store`
  await node(['create', store, '--plaintext'])

  // What each contender pushes is made outside the clock, one object a round and contender.
  const objects = Array.from({length: ROUNDS + 1}, () => newObject(folder))
  const layouts = new Map<string, string[]>()
  for (const name of ['crane', 'skopeo']) {
    layouts.set(name, findPeer(name) ? objects.map(({file}) => asLayout(folder, file, randomBytes(BYTES))) : [])
  }

  const [ours, oras, crane, skopeo] = [counter(), counter(), counter(), counter()]
  const pushes: Contender[] = [
    {
      name: 'kloset-oci put',
      async run() {
        const {file, mac} = objects[ours()]!
        await node(['put', store, 'packfile', mac, file])
      },
    },
  ]
  if (findPeer('oras')) {
    // Another folder of the same size: oras must find nothing that is there already.
    const files = Array.from({length: ROUNDS + 1}, () => newObject(folder))
    pushes.push({
      name: 'oras push',
      async run() {
        const {file, name} = files[oras()]!
        await execute('oras', ['push', '--plain-http', '--disable-path-validation', `${host}/bench/oras:${name}`, file])
      },
    })
  }

  if (findPeer('crane')) {
    pushes.push({
      name: 'crane push',
      async run() {
        const round = crane()
        await execute('crane', ['push', '--insecure', layouts.get('crane')![round]!, `${host}/bench/crane:r${round}`])
      },
    })
  }

  if (findPeer('skopeo')) {
    pushes.push({
      name: 'skopeo copy',
      async run() {
        const round = skopeo()
        const source = `oci:${layouts.get('skopeo')![round]!}:it`
        const policy = ['--insecure-policy', 'copy', '--dest-tls-verify=false']
        await execute('skopeo', [...policy, source, `docker://${host}/bench/skopeo:r${round}`])
      },
    })
  }

  // What a process costs before it moves a byte, so that it can be told apart from the transfer.
  const tiny = join(folder, 'tiny')
  writeFileSync(tiny, randomBytes(1000))
  const tinyMac = digestOf(randomBytes(32)).slice('sha256:'.length)
  await node(['put', store, 'packfile', tinyMac, tiny])
  pushes.push({name: 'kloset-oci put of 1 kB', run: () => node(['put', store, 'packfile', tinyMac, tiny])})

  const library = await openLibrary(store)
  const [libraryFiles, inLibrary] = [Array.from({length: WARM + ROUNDS + 1}, () => newObject(folder)), counter()]
  const push = async () => {
    const {file, mac} = libraryFiles[inLibrary()]!
    const digest = parseDigest(`sha256:${mac}`)
    await library.put('packfile', parseMac(mac), fileSource(file, BYTES), {digest})
  }

  for (let done = 0; done < WARM; done++) await push()
  pushes.push({name: IN_LIBRARY, run: push})

  console.log(table(`push of ${MIB} MiB`, await sideBySide(pushes, ROUNDS), BYTES), '\n')

  const target = join(folder, 'got')
  const clean = () => rmSync(target, {force: true, recursive: true})
  const pulls: Contender[] = [
    {
      name: 'kloset-oci get',
      async run() {
        clean()
        await node(['get', store, 'packfile', objects[1]!.mac, '-o', target])
      },
    },
  ]
  const orasTag =
    findPeer('oras') && (await execute('oras', ['repo', 'tags', '--plain-http', `${host}/bench/oras`])).split('\n')[0]
  if (orasTag) {
    pulls.push({
      name: 'oras pull',
      async run() {
        clean()
        await execute('oras', [
          'pull',
          '--plain-http',
          '--allow-path-traversal',
          '-o',
          target,
          `${host}/bench/oras:${orasTag}`,
        ])
      },
    })
  }

  if (findPeer('crane')) {
    pulls.push({
      name: 'crane pull',
      async run() {
        clean()
        await execute('crane', ['pull', '--insecure', '--format=oci', `${host}/bench/crane:r1`, target])
      },
    })
  }

  if (findPeer('skopeo')) {
    pulls.push({
      name: 'skopeo copy',
      async run() {
        clean()
        const source = `docker://${host}/bench/skopeo:r1`
        await execute('skopeo', ['--insecure-policy', 'copy', '--src-tls-verify=false', source, `oci:${target}:it`])
      },
    })
  }

  const pull = async () => {
    clean()
    const file = openSync(target, 'w')
    let size = 0
    await drain(await library.get('packfile', parseMac(objects[1]!.mac)), (piece) => {
      writeFullyNow(file, piece, size)
      size += piece.length
    })
    closeSync(file)
  }

  for (let done = 0; done < WARM; done++) await pull()
  pulls.push(
    {
      name: 'kloset-oci get of 1 kB',
      run: () => node(['get', store, 'packfile', tinyMac, '-o', `${target}.tiny`]),
    },
    {name: IN_LIBRARY, run: pull},
  )

  console.log(table(`pull of ${MIB} MiB`, await sideBySide(pulls, ROUNDS), BYTES), '\n')
  await library.close()
}

/** The store as a program holds it that runs on: plakar's plugin, a job over many objects. */
async function openLibrary(location: string): Promise<KlosetStore> {
  return new KlosetStore(await openRepository(location))
}

/** Requests that one more object costs, ours and the official plugin's, counted at a proxy. */
async function requests(registry: string, folder: string): Promise<void> {
  const proxy = await startCountingProxy(registry)
  const rows: string[] = []
  const store = `oci://${proxy.host}/bench/requests`
  await node(['create', store, '--plaintext'])
  const kloset = await openLibrary(store)
  const put = async () => {
    const bytes = randomBytes(1024 * 1024)
    const mac = parseMac(digestOf(bytes).slice('sha256:'.length))
    await kloset.put('packfile', mac, bufferSource(bytes), {overwrite: true})
    return mac
  }

  const mac = await put()
  proxy.reset()
  for (let index = 0; index < 10; index++) await put()
  rows.push(`| kloset-oci, put | ${proxy.total() / 10} | ${JSON.stringify(proxy.counts())} |`)
  const read = async (offset: number) => {
    const stream = await kloset.get('packfile', mac, {range: {length: 100, offset}})
    await finished(stream.resume())
  }

  await read(0)
  proxy.reset()
  for (let index = 0; index < 10; index++) await read(index * 1000)
  rows.push(`| kloset-oci, ranged get after the first | ${proxy.total() / 10} | ${JSON.stringify(proxy.counts())} |`)
  await kloset.close()

  const [plakar, plugin] = [findPlakar(), findOfficialPlugin()]
  if (plakar && plugin) {
    const peer = await startPlakar(plakar, plugin)
    const location = `oci://${proxy.host}/bench/official`
    const source = join(folder, 'source')
    mkdirSync(source)
    writeFileSync(join(source, 'file'), randomBytes(1024 * 1024))
    await peer.run(['at', location, 'create', '-plaintext'])
    proxy.reset()
    await peer.run(['at', location, 'backup', source])
    const counts = proxy.counts()
    const objects = counts['PUT manifest'] ?? 0
    const sent = ['POST upload', 'PATCH upload', 'PUT upload', 'PUT manifest'].map((kind) => counts[kind] ?? 0)
    const each = sent.reduce((sum, count) => sum + count, 0) / objects
    rows.push(`| official plugin, put (of ${objects} objects in one backup) | ${each} | ${JSON.stringify(counts)} |`)
    await peer.close()
  } else {
    console.log('official plugin: not counted, plakar or KLOSET_OCI_OFFICIAL_PLUGIN is not there')
  }

  await proxy.close()
  console.log(['| requests | each | all |', '|---|---|---|', ...rows].join('\n'), '\n')
}

const folder = scratchDir('bench')
try {
  for (const kind of ['registry3', 'registry2'] as const) {
    const program = findPeer(PROGRAMS[kind])
    if (!program) {
      console.log(`${kind}: not on PATH, skipped`)
      continue
    }

    console.log(`## ${kind}\n`)
    const {host} = await launchRegistry(kind, program)
    await throughput(host, folder)
    if (kind === 'registry3') await requests(host, folder)
    await stopPeers()
  }
} finally {
  await stopPeers()
  rmSync(folder, {force: true, recursive: true})
}
