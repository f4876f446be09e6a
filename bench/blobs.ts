/**
 * `verify --tier data` over stores of very many blobs: seconds and the peak memory of the process. Half of the blobs are
 * pieces of files, half are the objects that name them.
 *
 * Run: npm run build && node --import tsx/esm bench/blobs.ts [MILLIONS,MILLIONS...] [PROGRAM]
 */
import {encode} from '@msgpack/msgpack'
import {spawn} from 'node:child_process'
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import type {Mac} from '../src/kloset/mac.js'

import {BLOB_TYPES} from '../src/kloset/blob-type.js'
import {createCodec} from '../src/kloset/codec/codec.js'
import {
  hashingOf,
  macKeyOf,
  newConfiguration,
  openConfiguration,
  sealConfiguration,
} from '../src/kloset/configuration.js'
import {createStore} from '../src/kloset/create.js'
import {sealEnvelope} from '../src/kloset/envelope.js'
import {createHasher} from '../src/kloset/hashing.js'
import {macToBytes} from '../src/kloset/mac.js'
import {PackfileWriter} from '../src/kloset/packfile-writer.js'
import {encodeState, LocationEntry, STATE_VERSION, type WritableEntry} from '../src/kloset/state.js'
import {timestampFromMillis} from '../src/kloset/timestamp.js'
import {makeVersion} from '../src/kloset/version.js'
import {openRepository} from '../src/registry/open.js'
import {bufferSource} from '../src/util/content-source.js'

const BLOBS_A_PACKFILE = 100_000
const PACKFILES_A_STATE = 5
const PROGRAM = process.argv[3] ?? new URL('../bin/run.js', import.meta.url).pathname

/** A plaintext store whose blobs are few bytes each. */
async function writeStore(layout: string, millions: number): Promise<void> {
  const now = Date.now()
  const timestamp = timestampFromMillis(now)
  const version = makeVersion(1, 0, 0)
  const config = await sealConfiguration(
    newConfiguration({compression: 'none', now, repositoryId: Buffer.alloc(16, 7)}),
  )
  const configuration = await openConfiguration(config)
  const codec = await createCodec(configuration)
  const hasher = await createHasher(hashingOf(configuration), await macKeyOf(configuration))
  const seal = (data: Uint8Array, resource: 'packfile' | 'state') => {
    hasher.reset()
    return sealEnvelope(data, {hasher, resource, version: resource === 'state' ? STATE_VERSION : version})
  }

  const repository = await openRepository(`oci-layout:${layout}`, {create: true, durable: false})
  const store = await createStore(repository, config)
  let entries: WritableEntry[] = []
  let states = 0
  let number = 0
  const packfiles = Math.ceil((millions * 1_000_000) / BLOBS_A_PACKFILE)
  for (let count = 1; count <= packfiles; count++) {
    const state = macOfState(states)
    const writer = new PackfileWriter({codec, hasher})
    for (let pair = 0; pair < BLOBS_A_PACKFILE / 2; pair++) {
      const content = Buffer.from(`chunk ${number++}`)
      const chunk = writer.add(BLOB_TYPES.chunk, content)
      const mac = macToBytes(chunk.mac)
      const chunks = [{contentMAC: mac, length: content.length}]
      writer.add(BLOB_TYPES.object, encode({chunks, contentMAC: mac}))
    }

    const {blobs, data, mac} = writer.finish(timestamp)
    await store.put('packfile', mac, bufferSource(seal(data, 'packfile')))
    entries.push({kind: 'packfile', packfile: mac, state, timestamp})
    for (const blob of blobs) entries.push(LocationEntry.of({...blob, packfile: mac}))
    if (count % PACKFILES_A_STATE > 0 && count < packfiles) continue
    const encoded = Buffer.concat([...encodeState({entries, metadata: {serial: Buffer.alloc(16, 1), timestamp}})])
    await store.put('state', state, bufferSource(seal(codec.encode(encoded), 'state')))
    entries = []
    states += 1
  }

  await repository.close()
}

function macOfState(number: number): Mac {
  return number.toString(16).padStart(64, '5') as Mac
}

async function verify(layout: string): Promise<string> {
  const child = spawn(
    '/usr/bin/time',
    ['-f', '@@ %e %U %S %M', process.execPath, PROGRAM, 'verify', `oci-layout:${layout}`, '--tier', 'data'],
    {stdio: ['ignore', 'ignore', 'pipe']},
  )
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const status = await new Promise<null | number>((resolve) => {
    child.once('close', resolve)
  })
  const [elapsed, user, system, peak] = /@@ (.*)/.exec(errors)?.[1]?.split(' ').map(Number) ?? []
  if (status !== 0) throw new Error(`it ended with ${status}: ${errors.slice(-1000)}`)
  return `${elapsed} s, ${(user! + system!).toFixed(1)} s of CPU, peak RSS ${Math.round(peak! / 1024)} MiB`
}

for (const millions of (process.argv[2] ?? '1,5').split(',').map(Number)) {
  const dir = mkdtempSync(join(tmpdir(), 'kloset-oci-bench-'))
  try {
    const layout = join(dir, 'store.oci')
    await writeStore(layout, millions)
    console.log(`${millions} million blobs: ${await verify(layout)}`)
  } finally {
    rmSync(dir, {force: true, recursive: true})
  }
}
