import {expect} from 'chai'

import type {Mac} from '../../../../src/kloset/mac.js'

import {KlosetOciError} from '../../../../src/errors.js'
import {BLOB_TYPES, type BlobType, blobTypeName} from '../../../../src/kloset/blob-type.js'
import {Codec} from '../../../../src/kloset/codec/codec.js'
import {type Compression, createCompression} from '../../../../src/kloset/codec/compression/index.js'
import {decodeBlock, encodeBlock} from '../../../../src/kloset/codec/compression/lz4-block.js'
import {HEADER_BYTES} from '../../../../src/kloset/envelope.js'
import {type Hasher} from '../../../../src/kloset/hashing.js'
import {PackfileWriter} from '../../../../src/kloset/packfile-writer.js'
import {macOf, readAtOf, readPackfileIndex} from '../../../../src/kloset/packfile.js'
import {
  type BlobReader,
  compareBytes,
  comparePaths,
  decodeAttribute,
  decodeBackupError,
  decodeDirpack,
  decodeEntry,
  decodeHeader,
  decodeNode,
  decodeObject,
  decodeTreeRoot,
  Snapshot,
  snapshotReferences,
} from '../../../../src/kloset/snapshot/index.js'
import {MsgpackReader} from '../../../../src/kloset/snapshot/msgpack-reader.js'
import {StateDecoder} from '../../../../src/kloset/state.js'
import {makeVersion} from '../../../../src/kloset/version.js'
import {type GoldenReader, goldenReader} from '../../../helpers/golden-reader.js'
import {type Random, seeded} from '../../../helpers/random.js'
import {mutate} from './mutate.js'

/** Another run: `KLOSET_OCI_FUZZ_SEED=… KLOSET_OCI_FUZZ_ROUNDS=…`. */
const SEED = Number(process.env['KLOSET_OCI_FUZZ_SEED'] ?? 20_261_124)
const ROUNDS = Number(process.env['KLOSET_OCI_FUZZ_ROUNDS'] ?? 1500)

/** What no decoder may come near to, whatever it is given. */
const MAX_MEMORY_GROWTH = 512 * 1024 * 1024
const LIMIT = 4 * 1024 * 1024

type Decode = (bytes: Buffer) => Promise<unknown> | unknown

/** How the damaged inputs of a decoder ended. */
interface Outcome {
  readonly codes: Set<string>
  taken: number
}

/** Only these may come of damage; anything else is a bug in the decoder. */
const CODES = new Set(['INTEGRITY', 'NOT_FOUND', 'STORE_FORMAT', 'UNAUTHORIZED', 'VERSION'])

async function fuzz(corpus: readonly Buffer[], decode: Decode, random: Random, rounds = ROUNDS): Promise<Outcome> {
  const outcome: Outcome = {codes: new Set(), taken: 0}
  const before = process.memoryUsage().rss
  for (const bytes of corpus) await decode(bytes)
  for (let round = 0; round < rounds; round++) {
    const mutated = mutate(corpus[random.below(corpus.length)]!, random)
    try {
      await decode(mutated)
      outcome.taken += 1
    } catch (error) {
      const where = `seed ${SEED}, round ${round}, ${mutated.toString('base64').slice(0, 4000)}`
      if (!(error instanceof KlosetOciError)) throw new Error(`${where}: ${String(error)}`, {cause: error})
      expect(CODES.has(error.code), `${where}: ${error.code}`).to.equal(true)
      outcome.codes.add(error.code)
    }
  }

  expect(process.memoryUsage().rss - before, 'memory').to.be.lessThan(MAX_MEMORY_GROWTH)
  expect(outcome.codes.size, 'no damage was found at all').to.be.greaterThan(0)
  return outcome
}

/** Everything has the same MAC: what is behind the check is reached. */
const FORGER: Hasher = {digest: () => Buffer.alloc(32, 0xee), reset() {}, update() {}}

const GUARD_BYTES = 1000
const BLOCK_BYTES = 60_000

/** Decodes a block between guards, which it must not touch. */
function decodeWithin(bytes: Buffer): void {
  const out = Buffer.alloc(BLOCK_BYTES + 2 * GUARD_BYTES, 0xaa)
  try {
    const end = decodeBlock(bytes, out.subarray(GUARD_BYTES, -GUARD_BYTES), 0, 0)
    expect(end).to.be.within(0, BLOCK_BYTES)
  } finally {
    expect(out.subarray(0, GUARD_BYTES).every((byte) => byte === 0xaa)).to.equal(true)
    expect(out.subarray(-GUARD_BYTES).every((byte) => byte === 0xaa)).to.equal(true)
  }
}

function decodeStateData(bytes: Buffer, version: number): void {
  const decoder = new StateDecoder(version, 'state')
  let entries = 0
  for (let at = 0; at < bytes.length; at += 4096) {
    for (const entry of decoder.push(bytes.subarray(at, at + 4096))) entries += entry.kind.length > 0 ? 1 : 0
  }

  // The shortest entry is a header of five bytes.
  expect(entries).to.be.at.most(bytes.length / 5)
  decoder.end()
}

/** A reader that damages the blob of one of its calls. */
function damaging(read: BlobReader, target: number, random: Random): BlobReader {
  let calls = 0
  return async (type, mac) => {
    const content = await read(type, mac)
    return calls++ === target ? mutate(content, random) : content
  }
}

function skipAll(bytes: Buffer): void {
  const reader = new MsgpackReader(bytes, 'value')
  reader.skip()
  reader.end()
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  let count = 0
  for await (const item of items) count += item === undefined ? 0 : 1
  expect(count).to.be.lessThan(1_000_000)
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

describe(`decoders under fuzz (seed ${SEED})`, function () {
  this.timeout(300_000)
  let encrypted: GoldenReader
  let plain: GoldenReader
  let random: Random

  before(async function () {
    encrypted = await goldenReader('encrypted')
    plain = await goldenReader('plaintext')
  })

  beforeEach(function () {
    random = seeded(SEED)
  })

  /** The contents of all blobs of some types. */
  async function blobs(...types: readonly BlobType[]): Promise<Map<Mac, Buffer>> {
    const contents = new Map<Mac, Buffer>()
    for (const {mac, type} of plain.index.allLocations()) {
      if (types.includes(type)) contents.set(mac, await plain.read(type, mac))
    }

    return contents
  }

  for (const algorithm of ['LZ4', 'GZIP', 'ZSTD']) {
    it(`decompresses ${algorithm}`, async function () {
      const compression: Compression = await createCompression(algorithm)
      const texts = [...(await blobs(BLOB_TYPES.vfsNode, BLOB_TYPES.vfsEntry, BLOB_TYPES.snapshot)).values()]
      const corpus = texts.map((text) => compression.compress(text))
      await fuzz(corpus, (bytes) => compression.decompress(bytes, LIMIT), random)
      await fuzz(corpus, (bytes) => drain(compression.inflate(once(bytes), LIMIT)), random, ROUNDS / 3)
    })
  }

  it('decodes LZ4 blocks, within their bounds', async function () {
    const texts = [...(await blobs(BLOB_TYPES.vfsNode, BLOB_TYPES.chunk)).values()].filter(
      (text) => text.length < 20_000,
    )
    const corpus = texts.map((text) => encodeBlock(text)).filter((block) => block !== undefined)
    await fuzz(corpus, decodeWithin, random)
  })

  it('decrypts and decodes blobs', async function () {
    const contents = [...(await blobs(BLOB_TYPES.vfsEntry, BLOB_TYPES.vfsNode)).values()]
    const corpus = contents.map((content) => encrypted.codec.encode(content))
    const {codes, taken} = await fuzz(corpus, (bytes) => encrypted.codec.decode(bytes), random)
    expect(codes.has('INTEGRITY')).to.equal(true)
    // What is not changed is taken, and nothing else.
    expect(taken).to.be.lessThan(ROUNDS / 20)
    await fuzz(corpus, (bytes) => drain(encrypted.codec.decodeStream(once(bytes))), random, ROUNDS / 3)
  })

  for (const version of [makeVersion(1, 0, 0), makeVersion(1, 1, 0)]) {
    it(`decodes states of version ${version.toString(16)}`, async function () {
      const states = [...plain.objects].filter(([tag]) => tag.startsWith('state-'))
      const corpus = states.map(([, bytes]) => {
        const data = plain.codec.decode(bytes.subarray(HEADER_BYTES, -32))
        return version === makeVersion(1, 1, 0) ? data : data.subarray(32)
      })
      await fuzz(corpus, (bytes) => decodeStateData(bytes, version), random)
    })
  }

  for (const name of ['plaintext', 'encrypted'] as const) {
    it(`reads packfile indexes of ${name}`, async function () {
      const store = name === 'plaintext' ? plain : encrypted
      const [tag, whole] = [...store.objects].find(([one]) => one.startsWith('packfiles-'))!
      const indexOf = async (bytes: Buffer) =>
        readPackfileIndex({...store, readAt: readAtOf(bytes, tag), size: bytes.length, what: tag})
      const {footer} = await indexOf(whole)
      const start = HEADER_BYTES + footer.indexOffset
      await fuzz([whole.subarray(start)], (tail) => indexOf(Buffer.concat([whole.subarray(0, start), tail])), random)
    })
  }

  it('reads packfile indexes whose MAC is forged', async function () {
    const keys = {codec: new Codec(), hasher: FORGER}
    const writer = new PackfileWriter(keys)
    for (let number = 0; number < 40; number++) writer.add(BLOB_TYPES.chunk, random.bytes(random.below(50)))
    const {data} = writer.finish({nanoseconds: 0, seconds: 0})
    const start = writer.size
    const decode = async (tail: Buffer) => {
      const bytes = Buffer.concat([Buffer.alloc(HEADER_BYTES), data.subarray(0, start), tail, Buffer.alloc(32)])
      const source = {...keys, readAt: readAtOf(bytes, 'packfile'), size: bytes.length, what: 'packfile'}
      for (const {length, offset} of await readPackfileIndex(source)) {
        expect(HEADER_BYTES + offset + length).to.be.at.most(bytes.length)
      }
    }

    const {taken} = await fuzz([data.subarray(start)], decode, random, 5 * ROUNDS)
    expect(taken).to.be.greaterThan(ROUNDS / 10)
  })

  const decoders: readonly (readonly [string, BlobType, (bytes: Buffer, mac: Mac) => unknown])[] = [
    ['headers', BLOB_TYPES.snapshot, (bytes, mac) => decodeHeader(bytes, mac)],
    ['entries', BLOB_TYPES.vfsEntry, (bytes) => decodeEntry(bytes, 'entry')],
    ['objects', BLOB_TYPES.object, (bytes) => decodeObject(bytes, 'object')],
    ['nodes of files', BLOB_TYPES.vfsNode, (bytes) => decodeNode(bytes, 'node', comparePaths)],
    ['nodes of indexes', BLOB_TYPES.btreeNode, (bytes) => decodeNode(bytes, 'node', compareBytes)],
    ['roots of trees', BLOB_TYPES.btreeRoot, (bytes) => decodeTreeRoot(bytes, 'root')],
    ['any msgpack', BLOB_TYPES.vfsSummary, (bytes) => skipAll(bytes)],
  ]
  for (const [name, type, decode] of decoders) {
    it(`decodes ${name}`, async function () {
      const contents = await blobs(type)
      const [[mac]] = contents as unknown as readonly [[Mac]]
      for (const [of, content] of contents) decode(content, of)
      const corpus = type === BLOB_TYPES.snapshot ? [contents.get(mac)!] : [...contents.values()]
      await fuzz(corpus, (bytes) => decode(bytes, mac), random)
    })
  }

  it('decodes errors and attributes, out of whatever msgpack', async function () {
    const corpus = [...(await blobs(BLOB_TYPES.vfsEntry, BLOB_TYPES.btreeRoot)).values()]
    await fuzz(corpus, (bytes) => decodeBackupError(bytes, 'error'), random)
    await fuzz(corpus, (bytes) => decodeAttribute(bytes, 'attribute'), random)
  })

  it("decodes folders' listings", async function () {
    const snapshot = await Snapshot.open(plain.read, [...plain.index.snapshots()][0]!.mac)
    const files = await snapshot.files()
    const folder = snapshot.header.sources[0]!.importer.directory
    const corpus: Buffer[] = []
    for (const content of (await blobs(BLOB_TYPES.object)).values()) {
      const object = decodeObject(content, 'object')
      const parts: Buffer[] = []
      for await (const part of files.content(object)) parts.push(part)
      const whole = Buffer.concat(parts)
      const sound = await drain(decodeDirpack(once(whole), folder)).then(
        () => true,
        () => false,
      )
      if (sound && whole.length > 0) corpus.push(whole)
    }

    expect(corpus.length).to.be.greaterThan(0)
    await fuzz(corpus, (bytes) => drain(decodeDirpack(once(bytes), folder)), random)
  })

  it('walks snapshots of which any blob is damaged', async function () {
    const ids = [...plain.index.snapshots()].map(({mac}) => mac)
    let found = 0
    for (let round = 0; round < 300; round++) {
      const target = random.below(40)
      const read = damaging(plain.read, target, random)
      const broken: unknown[] = []
      try {
        const snapshot = await Snapshot.open(read, ids[round % ids.length]!)
        await drain(snapshotReferences(snapshot, {onBroken: ({error}) => broken.push(error)}))
      } catch (error) {
        broken.push(error)
      }

      found += broken.length > 0 ? 1 : 0
      for (const error of broken) expect(error, `seed ${SEED}, round ${round}`).to.be.instanceOf(KlosetOciError)
    }

    expect(found).to.be.greaterThan(100)
  })

  it('never takes a damaged blob for a sound one', async function () {
    for (const store of [plain, encrypted]) {
      const all = [...store.index.allLocations()].filter(({type}) => type !== BLOB_TYPES.random)
      for (let round = 0; round < 500; round++) {
        const {length, mac, offset, packfile, type} = all[random.below(all.length)]!
        if (type === BLOB_TYPES.snapshot) continue
        const bytes = store.objects.get(`packfiles-${packfile}`)!
        const stored = bytes.subarray(HEADER_BYTES + offset, HEADER_BYTES + offset + length)
        let content: Buffer
        try {
          content = store.codec.decode(mutate(stored, random))
        } catch (error) {
          expect(error, `${blobTypeName(type)} round ${round}`).to.be.instanceOf(KlosetOciError)
          continue
        }

        const same = content.equals(await store.read(type, mac))
        expect(macOf(store.hasher, content).toString('hex') === mac, `round ${round}`).to.equal(same)
      }
    }
  })
})
