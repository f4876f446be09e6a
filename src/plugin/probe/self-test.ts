import type {PluginCommand} from './client.js'

import {bytesField, MessageFields, stringField, uintField} from '../protobuf.js'
import {Status} from '../rpc/status.js'
import {CallError, PluginClient} from './client.js'

export interface SelfTestStep {
  readonly call: string
  /** What the plugin answered, in a few words. */
  readonly detail: string
  readonly milliseconds: number
  /** Status of gRPC; 0 is success. */
  readonly status: number
}

export interface SelfTestOptions {
  readonly command: PluginCommand
  readonly config: ReadonlyMap<string, string>
  readonly onStep?: ((step: SelfTestStep) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

export interface SelfTestResult {
  readonly ok: boolean
  /** What the plugin wrote to stderr; it should be nothing. */
  readonly stderr: string
  readonly steps: readonly SelfTestStep[]
}

interface Step {
  readonly call: string
  readonly describe: (answer: Buffer) => string
  readonly method: string
  readonly request: Buffer
}

const NOTHING = Buffer.alloc(0)

/**
 * Runs a plugin against a store as plakar would, reading only: Init, Ping, Mode, Open, List of each kind, Close.
 * The steps after a failed one are left out, Close excepted.
 * @throws KlosetOciError when the plugin does not answer at all
 */
export async function selfTest({command, config, onStep, signal}: SelfTestOptions): Promise<SelfTestResult> {
  const client = PluginClient.start(command)
  const steps: SelfTestStep[] = []
  const take = async ({call, describe, method, request}: Step): Promise<boolean> => {
    const started = performance.now()
    const end = (detail: string, status: number) => {
      const step = {call, detail, milliseconds: Math.round(performance.now() - started), status}
      steps.push(step)
      onStep?.(step)
      return status === Status.OK
    }

    try {
      return end(describe(await client.call(method, request, {signal})), Status.OK)
    } catch (error) {
      if (error instanceof CallError) return end(error.message, error.status)
      throw error
    }
  }

  try {
    let ok = true
    for (const step of stepsFor(config)) ok &&= await take(step)
    const closed = await take({call: 'Close', describe: () => 'closed', method: 'Close', request: NOTHING})
    return {ok: ok && closed, stderr: client.stderr, steps}
  } finally {
    await client.close()
  }
}

function stepsFor(config: ReadonlyMap<string, string>): Step[] {
  const list = (name: string, type: number): Step => ({
    call: `List ${name}s`,
    describe: (answer) => `${countOf(answer)}`,
    method: 'List',
    request: uintField(1, type),
  })
  return [
    {call: 'Init', describe: describeInit, method: 'Init', request: initRequest(config)},
    {call: 'Ping', describe: () => 'the registry answers', method: 'Ping', request: NOTHING},
    {call: 'Mode', describe: describeMode, method: 'Mode', request: NOTHING},
    {call: 'Open', describe: describeOpen, method: 'Open', request: NOTHING},
    list('packfile', 1),
    list('state', 2),
    list('lock', 3),
  ]
}

function initRequest(config: ReadonlyMap<string, string>): Buffer {
  const entries = [...config].map(([key, value]) =>
    bytesField(2, Buffer.concat([stringField(1, key), stringField(2, value)])),
  )
  return Buffer.concat([stringField(1, 'oci'), ...entries])
}

function describeInit(answer: Buffer): string {
  let origin = ''
  const fields = new MessageFields(answer)
  while (fields.next()) {
    if (fields.field === 1) origin = fields.string()
    else fields.skip()
  }

  return origin
}

function describeMode(answer: Buffer): string {
  let mode = 0
  const fields = new MessageFields(answer)
  while (fields.next()) {
    if (fields.field === 1) mode = fields.uint()
    else fields.skip()
  }

  const rights = [...((mode & 4) === 0 ? [] : ['read']), ...((mode & 2) === 0 ? [] : ['write'])]
  return rights.length === 0 ? 'neither read nor write' : rights.join(' and ')
}

function describeOpen(answer: Buffer): string {
  let bytes = 0
  const fields = new MessageFields(answer)
  while (fields.next()) {
    if (fields.field === 1) bytes = fields.bytes().length
    else fields.skip()
  }

  return `configuration of ${bytes} bytes`
}

function countOf(answer: Buffer): number {
  let count = 0
  const fields = new MessageFields(answer)
  while (fields.next()) {
    if (fields.field === 1) count++
    fields.skip()
  }

  return count
}
