/**
 * Speed of the format's inside on one thread: compression, encryption, key derivation, whole blobs, states and entries.
 * What counts is the processor's time of this process, so that whatever else runs on the machine matters little.
 * Ways that were not taken are measured beside those that were, where their packages happen to be installed.
 * Run: node --import tsx/esm bench/codec.ts [rounds]
 */
import {encode} from '@msgpack/msgpack'
import {argon2id} from 'hash-wasm'
import {createCipheriv, createHash, randomBytes} from 'node:crypto'
import {openSync, readFileSync, readSync} from 'node:fs'
import {createRequire} from 'node:module'

import type {Mac} from '../src/kloset/mac.js'

import {BLOB_TYPES} from '../src/kloset/blob-type.js'
import {AesGcmSiv} from '../src/kloset/codec/aes-gcm-siv.js'
import {Codec} from '../src/kloset/codec/codec.js'
import {createCompression} from '../src/kloset/codec/compression/index.js'
import {decodeBlock, encodeBlock} from '../src/kloset/codec/compression/lz4-block.js'
import {decodeNatively, nativeLz4} from '../src/kloset/codec/compression/lz4-native.js'
import {BlobCipher} from '../src/kloset/codec/encryption.js'
import {deriveSecret} from '../src/kloset/codec/kdf.js'
import {PolyvalKernel, SEGMENT_BYTES} from '../src/kloset/codec/polyval.js'
import {Secret} from '../src/kloset/codec/secret.js'
import {createHasher} from '../src/kloset/hashing.js'
import {decodeBlob, macOf} from '../src/kloset/packfile.js'
import {decodeEntry} from '../src/kloset/snapshot/index.js'
import {encodeState, LocationEntry, StateIndex} from '../src/kloset/state.js'
import {makeVersion} from '../src/kloset/version.js'
import {markdownTable, median} from './lib/report.js'

const ROUNDS = Number(process.argv[2] ?? 5)
const MIB = 1024 * 1024
const CHUNK_BYTES = MIB
const CHUNKS = 24
const BYTES = CHUNKS * CHUNK_BYTES
const SCHEME = {chunkSize: 64 * 1024, dataAlgorithm: 'AES256-GCM-SIV', subKeyAlgorithm: 'AES256-KW'}

/** Chunks of a file, as often as it takes. */
function chunksOf(path: string): Buffer[] {
  const file = openSync(path, 'r')
  return Array.from({length: CHUNKS}, (_, index) => {
    const chunk = Buffer.alloc(CHUNK_BYTES)
    readSync(file, chunk, 0, CHUNK_BYTES, (index % 8) * CHUNK_BYTES)
    return chunk
  })
}

const text = chunksOf(createRequire(import.meta.url).resolve('typescript'))
const program = chunksOf(process.execPath)
const noise = Array.from({length: CHUNKS}, () => randomBytes(CHUNK_BYTES))

function contender(name: string, inputs: readonly Buffer[], run: (input: Buffer) => unknown): Contender {
  return {
    name,
    async run() {
      for (const input of inputs) await run(input)
    },
  }
}

/** A package that is not one of ours, if it is there. */
async function installed(name: string): Promise<Record<string, never> | undefined> {
  try {
    return (await import(name)) as Record<string, never>
  } catch {
    return undefined
  }
}

interface Contender {
  readonly name: string
  run(): Promise<unknown>
}

/** Runs contenders in turn, after a round to warm up, and prints the median of each. */
async function show(title: string, contenders: readonly Contender[], bytes?: number): Promise<void> {
  const taken = new Map<string, number[]>(contenders.map(({name}) => [name, []]))
  for (let round = 0; round <= ROUNDS; round++) {
    for (const {name, run} of contenders) {
      const start = process.cpuUsage()
      await run()
      const {system, user} = process.cpuUsage(start)
      if (round > 0) taken.get(name)!.push((system + user) / 1e6)
    }
  }

  const heads = [title, 'CPU time', ...(bytes === undefined ? [] : ['MB/s'])]
  const rows = [...taken].map(([name, all]) => {
    const seconds = median(all)
    return [name, `${seconds.toFixed(3)} s`, ...(bytes === undefined ? [] : [(bytes / seconds / 1e6).toFixed(0)])]
  })
  console.log(`${markdownTable(heads, rows)}\n`)
}

const [lz4, gzip, zstd] = await Promise.all(['LZ4', 'GZIP', 'ZSTD'].map((name) => createCompression(name)))

for (const [name, chunks] of [
  ['text', text],
  ['program', program],
  ['noise', noise],
] as const) {
  const frames = chunks.map((chunk) => lz4!.compress(chunk))
  const contenders = [contender('LZ4 frames', frames, (frame) => lz4!.decompress(frame, 2 * MIB))]
  const blocks = chunks.map((chunk) => encodeBlock(chunk)).filter((block) => block !== undefined)
  if (blocks.length > 0) {
    const out = Buffer.alloc(4 * MIB)
    contenders.push(contender('LZ4 blocks, JavaScript', blocks, (block) => decodeBlock(block, out, 0, 0)))
    if (nativeLz4()) contenders.push(contender('LZ4 blocks, addon', blocks, (block) => decodeNatively(block, 4 * MIB)))
  }

  const zipped = chunks.map((chunk) => gzip!.compress(chunk))
  contenders.push(
    contender('GZIP', zipped, (bytes) => gzip!.decompress(bytes, 2 * MIB)),
    contender('LZ4, compress', chunks, (chunk) => lz4!.compress(chunk)),
  )
  await show(`decompress ${name}`, contenders, BYTES)
}

{
  const frames = noise.map((chunk) => zstd!.compress(chunk))
  await show('decompress raw ZSTD', [contender('ZSTD', frames, (frame) => zstd!.decompress(frame, 2 * MIB))], BYTES)
}

{
  const key = randomBytes(32)
  const siv = new AesGcmSiv(key)
  const segments = noise.flatMap((chunk) =>
    Array.from({length: CHUNK_BYTES / SEGMENT_BYTES}, (_, at) =>
      chunk.subarray(at * SEGMENT_BYTES, (at + 1) * SEGMENT_BYTES),
    ),
  )
  const sealed = segments.map((segment) => siv.seal(segment, randomBytes(12)))
  const out = Buffer.alloc(SEGMENT_BYTES)
  const kernel = new PolyvalKernel()
  const ecb = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false)
  const contenders = [
    contender('open', sealed, (message) => siv.open(message, out)),
    contender('seal', segments, (segment) => siv.seal(segment, key.subarray(0, 12))),
    contender('POLYVAL alone', segments, (segment) => {
      kernel.begin(key.subarray(0, 16))
      kernel.data.set(segment)
      kernel.absorb(segment.length)
    }),
    contender('AES-256 alone', segments, (segment) => ecb.update(segment)),
    contender('SHA-256, for comparison', segments, (segment) => createHash('sha256').update(segment).digest()),
  ]
  const noble = await installed('@noble/ciphers/aes.js')
  if (noble) {
    const {gcmsiv} = noble as unknown as {gcmsiv: (key: Buffer, nonce: Buffer) => {decrypt(bytes: Buffer): Uint8Array}}
    contenders.push(
      contender('open, @noble/ciphers', sealed, (message) =>
        gcmsiv(key, message.subarray(0, 12)).decrypt(message.subarray(12)),
      ),
    )
  }

  await show('AES-256-GCM-SIV in 64 KiB', contenders, BYTES)
}

for (const hashing of ['BLAKE3', 'SHA256'] as const) {
  const hasher = await createHasher(hashing, randomBytes(32))
  const codecs = [
    ['plaintext', new Codec(lz4)],
    ['encrypted', new Codec(lz4, new BlobCipher(SCHEME, new Secret(randomBytes(32))))],
  ] as const
  const contenders: Contender[] = []
  for (const [name, codec] of codecs) {
    for (const [what, chunks] of [
      ['text', text],
      ['noise', noise],
    ] as const) {
      const blobs = new Map(
        chunks.map((chunk) => [codec.encode(chunk), macOf(hasher, chunk).toString('hex') as Mac] as const),
      )
      contenders.push(
        contender(`${name}, ${what}`, [...blobs.keys()], (bytes) =>
          decodeBlob({mac: blobs.get(bytes)!, type: BLOB_TYPES.chunk}, bytes, {codec, hasher, what: ''}),
        ),
      )
    }
  }

  await show(`decode and check blobs of 1 MiB, LZ4, ${hashing}`, contenders, BYTES)
}

{
  const parameters = {keyLen: 32, memory: 256 * 1024, saltSize: 16, threads: 1, time: 4}
  const salt = randomBytes(16)
  const kdf = {argon2id: parameters, kdf: 'ARGON2ID', pbkdf2: undefined, salt, scrypt: undefined}
  await show('ARGON2ID, 256 MiB, 4 times', [
    {name: 'as used', run: () => deriveSecret(kdf, 'passphrase')},
    {
      name: 'WebAssembly',
      run: () =>
        argon2id({
          hashLength: 32,
          iterations: 4,
          memorySize: 256 * 1024,
          outputType: 'binary',
          parallelism: 1,
          password: 'passphrase',
          salt,
        }),
    },
  ])
}

{
  const count = 500_000
  const packfiles = Array.from({length: 500}, () => randomBytes(32).toString('hex') as Mac)
  const entries = Array.from({length: count}, (_, number) =>
    LocationEntry.of({
      flags: 0,
      length: 300,
      mac: randomBytes(32).toString('hex') as Mac,
      offset: number,
      packfile: packfiles[number % packfiles.length]!,
      type: BLOB_TYPES.chunk,
      version: makeVersion(1, 0, 0),
    }),
  )
  const metadata = {serial: Buffer.alloc(16), timestamp: {nanoseconds: 0, seconds: 0}}
  const data = [...encodeState({entries, metadata})]
  let index = new StateIndex()
  await show(`${count} locations`, [
    {
      name: 'decode and take in',
      async run() {
        index = new StateIndex()
        const source = (async function* () {
          yield* data
        })()
        await index.addState('00'.repeat(32) as Mac, source, makeVersion(1, 1, 0))
      },
    },
    {
      name: 'look all up',
      async run() {
        for (const {record} of entries) {
          if (index.locations(BLOB_TYPES.chunk, record.subarray(5, 37)).length !== 1) throw new Error('not found')
        }
      },
    },
  ])
  console.log(`${(index.bytes / index.locationCount).toFixed(1)} bytes a location\n`)
}

{
  const count = 100_000
  /* eslint-disable camelcase -- kloset's names */
  const content = Buffer.from(
    encode(
      {
        content_type: 'text/plain; charset=utf-8',
        file_info: {
          dev: 65_024n,
          gid: 1000n,
          ino: 9_996_181n,
          mod_time: new Date(),
          mode: 0o644,
          name: 'a-file.txt',
          nlink: 1,
          size: 4096n,
          uid: 1000n,
        },
        object: randomBytes(32),
        parent_path: '/home/user/some/folder',
        version: 65_536,
      },
      {useBigInt64: true},
    ),
  )
  /* eslint-enable camelcase */
  await show(`${count} entries of ${content.length} bytes`, [
    {
      name: 'decode',
      async run() {
        for (let number = 0; number < count; number++) decodeEntry(content, 'entry')
      },
    },
  ])
}

console.log(`Node ${process.version}, ${readFileSync('/proc/cpuinfo', 'utf8').match(/model name\s*: (.*)/)?.[1] ?? ''}`)
