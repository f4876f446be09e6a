import {parentPort, workerData} from 'node:worker_threads'

import type {JudgeKeys, JudgeTask} from './packfile-judge.js'

import {messageOf} from '../../errors.js'
import {keep, PackfileJudge} from './packfile-judge.js'

/** A packfile for a thread: its bytes are the beginning of a buffer that goes there and comes back. */
export interface WorkerTask {
  readonly buffer: ArrayBuffer
  readonly length: number
  readonly task: Omit<JudgeTask, 'bytes'>
}

/** What a thread answers. */
export interface WorkerAnswer {
  readonly buffer: ArrayBuffer
  readonly error?: string
  readonly verdict?: Awaited<ReturnType<PackfileJudge['judge']>>
}

/** The thread's side of `JudgePool`: one packfile at a time. */
const judge = PackfileJudge.create(workerData as JudgeKeys)

parentPort?.on('message', (message: WorkerTask) => {
  answer(message).catch((error: unknown) => {
    throw error
  })
})

async function answer({buffer, length, task}: WorkerTask): Promise<void> {
  try {
    const verdict = keep(await (await judge).judge({...task, bytes: Buffer.from(buffer, 0, length)}))
    const {lost, references} = verdict
    const answer = {buffer, verdict} satisfies WorkerAnswer
    parentPort?.postMessage(answer, [buffer, lost.buffer as ArrayBuffer, references.buffer as ArrayBuffer])
  } catch (error) {
    parentPort?.postMessage({buffer, error: messageOf(error)} satisfies WorkerAnswer, [buffer])
  }
}
