import {expect} from 'chai'
import {setTimeout as pause} from 'node:timers/promises'
import {Worker} from 'node:worker_threads'

import type {Mac} from '../../../../src/kloset/mac.js'

import {ContentKeys} from '../../../../src/checker/content-keys.js'
import {Failures} from '../../../../src/checker/failures.js'
import {JudgePool, type JudgePoolOptions} from '../../../../src/checker/verify/judge-pool.js'
import {OwnThread} from '../../../../src/checker/verify/judges.js'
import {ObjectVerifier} from '../../../../src/checker/verify/object-verifier.js'
import {type JudgeKeys, type JudgeTask} from '../../../../src/checker/verify/packfile-judge.js'
import {hashingOf, macKeyOf} from '../../../../src/kloset/configuration.js'
import {digestOf} from '../../../../src/registry/digest.js'
import {ByteBudget} from '../../../../src/util/byte-budget.js'
import {failureOf} from '../../../helpers/failure.js'
import {goldenInMemory} from '../../../helpers/golden.js'
import {type GoldenName} from '../../../helpers/hooks.js'
import {unlockedGolden} from '../../../helpers/unlocked.js'

const BUILT = new URL('../../../../dist/checker/verify/judge-worker.js', import.meta.url)

/** What a thread does with a packfile: `post` answers. */
function thread(onMessage: string): () => Worker {
  const code = `const {parentPort} = require('node:worker_threads')
    const post = (buffer, rest) => parentPort.postMessage({buffer, ...rest}, [buffer])
    const verdict = {blobs: 7, findings: [], isMapped: true, lost: [], references: new Uint8Array(0), snapshots: []}
    parentPort.on('message', ({buffer, length, task}) => { ${onMessage} })`
  const resourceLimits = {maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4}
  return () => new Worker(code, {eval: true, resourceLimits, stderr: true})
}

async function keysOf(name: GoldenName): Promise<JudgeKeys> {
  const {configuration, secret} = await unlockedGolden(name)
  const {compression, encryption} = configuration
  const key = await macKeyOf(configuration, secret?.bytes)
  return {compression, encryption, hashing: hashingOf(configuration), key: key!, secret: secret?.bytes}
}

async function tasksOf(name: GoldenName, judges: {allocate(size: number): Buffer}): Promise<JudgeTask[]> {
  const {objects} = await unlockedGolden(name)
  const packfiles = [...objects].filter(([tag]) => tag.startsWith('packfiles-'))
  return packfiles.map(([tag, bytes]) => {
    const own = judges.allocate(bytes.length)
    bytes.copy(own)
    return {bytes: own, data: true, digest: digestOf(bytes), intact: true, mac: tag.slice(10) as Mac}
  })
}

describe('the threads that judge packfiles', function () {
  this.timeout(60_000)
  let pool: JudgePool

  async function make(options: JudgePoolOptions): Promise<JudgeTask[]> {
    pool = new JudgePool(await keysOf('plaintext'), {ownBytes: 0, ...options})
    return tasksOf('plaintext', pool)
  }

  afterEach(() => pool.close())

  it('come to what this thread comes to', async () => {
    for (const name of ['plaintext', 'encrypted'] as const) {
      const keys = await keysOf(name)
      pool = new JudgePool(keys, {ownBytes: 0, start: (workerData) => new Worker(BUILT, {workerData}), threads: 2})
      const own = new OwnThread(keys)
      const there = await Promise.all((await tasksOf(name, pool)).map(async (task) => pool.judge(task)))
      const here = await Promise.all((await tasksOf(name, own)).map(async (task) => own.judge(task)))
      const plain = here.map(({references, ...rest}) => ({
        ...rest,
        references: Buffer.from(references).toString('hex'),
      }))
      expect(
        there.map(({references, ...rest}) => ({...rest, references: Buffer.from(references).toString('hex')})),
      ).to.deep.equal(plain)
      expect(there.every(({blobs, findings}) => blobs > 0 && findings.length === 0)).to.equal(true)
      await pool.close()
    }
  })

  it('have one packfile at a time, and all of them get one', async () => {
    let most = 0
    let under = 0
    const start = () => {
      const worker = thread('setTimeout(() => post(buffer, {verdict}), 5)')()
      const send = worker.postMessage.bind(worker)
      worker.postMessage = (...args: Parameters<Worker['postMessage']>) => {
        under += 1
        most = Math.max(most, under)
        send(...args)
      }

      worker.on('message', () => {
        under -= 1
      })
      return worker
    }

    const [task] = await make({start, threads: 2})
    const tasks = Array.from({length: 20}, () => ({...task!, bytes: Buffer.alloc(1000)}))
    const verdicts = await Promise.all(tasks.map(async (one) => pool.judge(one)))
    expect(verdicts.map(({blobs}) => blobs)).to.deep.equal(tasks.map(() => 7))
    expect(most).to.be.at.most(2)
  })

  it('are asked again after one packfile that they could not judge', async () => {
    const tasks = await make({
      start: thread("length > 1e6 ? post(buffer, {error: 'cannot judge that'}) : post(buffer, {verdict})"),
      threads: 1,
    })
    const results = await Promise.allSettled(tasks.map(async (task) => pool.judge(task)))
    const failed = results.filter(({status}) => status === 'rejected')
    expect(failed.map((result) => String((result as PromiseRejectedResult).reason))).to.deep.equal([
      'Error: cannot judge that',
    ])
    expect(results.filter(({status}) => status === 'fulfilled')).to.have.length(3)
  })

  for (const [how, code] of [
    ['throw', "throw new Error('broken')"],
    ['leave without a word', 'process.exit(3)'],
    ['run out of memory', 'const all = []; for (;;) all.push(new Array(1e6).fill(length))'],
  ] as const) {
    it(`that ${how} are not waited for: the caller is told, and this thread does the rest`, async () => {
      const tasks = await make({start: thread(code), threads: 2})
      const results = await Promise.allSettled(tasks.map(async (task) => pool.judge(task)))
      const lost = results.filter(({status}) => status === 'rejected')
      expect(lost.map((result) => (result as PromiseRejectedResult).reason.constructor.name)).to.deep.equal([
        'ThreadLostError',
        'ThreadLostError',
      ])
      const rest = results.filter((result) => result.status === 'fulfilled').map(({value}) => value)
      expect(rest.map(({blobs, findings}) => [blobs > 0, findings.length])).to.deep.equal([
        [true, 0],
        [true, 0],
      ])
    })
  }

  it('that die cost nothing but time: the packfile is read and judged again', async () => {
    const {codec} = await unlockedGolden('plaintext')
    const keys = await keysOf('plaintext')
    const repository = await goldenInMemory('plaintext')
    pool = new JudgePool(keys, {ownBytes: 0, start: thread('process.exit(1)'), threads: 3})
    const verifier = new ObjectVerifier(
      {
        deep: true,
        failures: new Failures(),
        keys: ContentKeys.known(keys.hashing, keys.key, {encrypted: false}),
        repository,
      },
      {budget: new ByteBudget(1e9), codec, judges: pool, async placed() {}, tier: 'data'},
    )
    const {objects} = await unlockedGolden('plaintext')
    for (const tag of objects.keys()) {
      if (!tag.startsWith('packfiles-')) continue
      const {findings, verdict} = await verifier.verify({mac: tag.slice(10) as Mac, resource: 'packfile', tag})
      expect([findings, verdict!.blobs > 0], tag).to.deep.equal([[], true])
    }
  })

  it('that cannot be started are not needed', async () => {
    const tasks = await make({
      start() {
        throw new Error('no more threads')
      },
    })
    const verdicts = await Promise.all(tasks.map(async (task) => pool.judge(task)))
    expect(verdicts.every(({blobs, findings}) => blobs > 0 && findings.length === 0)).to.equal(true)
  })

  it('end with the run, whatever they are at: who waits is told', async () => {
    const workers: Worker[] = []
    const start = () => {
      workers.push(thread('for (;;) {}')())
      return workers.at(-1)!
    }

    const tasks = await make({start, threads: 2})
    const waiting = tasks.map(async (task) => failureOf(pool.judge(task)))
    await pause(50)
    await pool.close()
    const failures = await Promise.all(waiting)
    expect(failures.map(({code}) => code)).to.deep.equal(tasks.map(() => 'INTERRUPTED'))
    expect(workers.map(({threadId}) => threadId)).to.deep.equal([-1, -1])
    expect((await failureOf(pool.judge((await tasksOf('plaintext', pool))[0]!))).code).to.equal('INTERRUPTED')
  })
})
