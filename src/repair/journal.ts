import {type FileHandle, open, rm} from 'node:fs/promises'
import {dirname} from 'node:path'

import type {Mac} from '../kloset/mac.js'
import type {TagState} from './plan/types.js'

import {StoreFormatError} from '../errors.js'
import {isMac} from '../kloset/mac.js'
import {isDigest} from '../registry/digest.js'
import {errnoOf, fileOperation} from '../util/fs-error.js'
import {isCount, isObject, isString, type JsonObject} from '../util/json.js'

/** Some hundred bytes a step, a few lines each. */
const MAX_JOURNAL_BYTES = 512 * 1024 * 1024

/** One line of a journal. `after` is what the step's tag leads to. */
export type JournalEvent =
  | {readonly after: readonly TagState[]; readonly event: 'writing'; readonly step: number; readonly tag: string}
  | {readonly after: TagState; readonly event: 'done'; readonly step: number}
  | {readonly after: TagState; readonly event: 'undone'; readonly step: number}
  | {readonly event: 'begin' | 'undoing'; readonly step: number}
  | {readonly event: 'failed'; readonly message: string; readonly step: number}
  | {readonly event: 'locked'; readonly mac: Mac}
  | {readonly event: 'plan'; readonly id: string; readonly quarantine: string}
  | {readonly event: 'quarantined'; readonly record: string; readonly step: number; readonly tag: string}
  | {readonly event: 'unlocked'}

/** How far a step has got. */
export interface StepProgress {
  /** What its tag may lead to by now, beside what it led to before. */
  readonly after: readonly TagState[]
  /** Tags that the step has made, or may have, and what they may lead to: its own is among them. */
  readonly made: ReadonlyMap<string, ReadonlySet<TagState>>
  /** Tags of what was copied to the quarantine for it, oldest first. */
  readonly records: readonly {readonly record: string; readonly tag: string}[]
  readonly status: 'begun' | 'done' | 'failed' | 'none' | 'undoing' | 'undone'
}

const NOTHING: StepProgress = {after: [], made: new Map(), records: [], status: 'none'}

/**
 * What has been done of a plan: a file of lines that only grows, each on the disk before what it announces is done. A
 * last line that was cut off by a crash is dropped; any other damage is an error.
 */
export class Journal {
  #file: FileHandle | undefined
  #lock: Mac | undefined
  readonly #path: string
  #quarantine: string | undefined
  readonly #steps = new Map<number, StepProgress>()

  private constructor(path: string) {
    this.#path = path
  }

  /** @throws StoreFormatError when it is damaged, or another plan's */
  static async open(path: string, planId: string): Promise<Journal> {
    const journal = new Journal(path)
    await journal.#read(planId)
    return journal
  }

  /** The lock that an earlier run left in the store, if it did. */
  get lock(): Mac | undefined {
    return this.#lock
  }

  /** Where the plan's first run put what it replaced; undefined before that. */
  get quarantine(): string | undefined {
    return this.#quarantine
  }

  /** Adds a line, and returns when it is on the disk. */
  async add(event: JournalEvent): Promise<void> {
    await fileOperation('write', this.#path, async () => {
      this.#file ??= await this.#create()
      await this.#file.appendFile(`${JSON.stringify(event)}\n`)
      await this.#file.sync()
    })
    this.#take(event)
  }

  /** One that tells of no step and of no lock goes: nothing was done, and the plan's name is free for another. */
  async close(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
    const isIdle = this.#steps.size === 0 && this.#lock === undefined
    if (isIdle && this.#quarantine !== undefined) {
      await fileOperation('remove', this.#path, async () => rm(this.#path, {force: true}))
    }
  }

  step(id: number): StepProgress {
    return this.#steps.get(id) ?? NOTHING
  }

  async #create(): Promise<FileHandle> {
    const file = await open(this.#path, 'a', 0o600)
    const folder = await open(dirname(this.#path), 'r')
    await folder.sync().catch(() => {})
    await folder.close()
    return file
  }

  #damaged(how: string): StoreFormatError {
    return new StoreFormatError(`${this.#path}: the journal ${how}`, {
      suggestions: ['Keep it and the quarantine, and make a new plan under another name.'],
    })
  }

  async #read(planId: string): Promise<void> {
    const text = await fileOperation('read', this.#path, async () => {
      const file = await open(this.#path, 'r+').catch((error: unknown) => {
        if (errnoOf(error) !== 'ENOENT') throw error
      })
      if (!file) return ''
      try {
        const {size} = await file.stat()
        if (size > MAX_JOURNAL_BYTES) throw this.#damaged('is too long')
        const bytes = await file.readFile()
        const end = bytes.lastIndexOf(0x0a) + 1
        // The line that a crash cut off: what it announces was not begun.
        if (end < bytes.length) {
          await file.truncate(end)
          await file.sync()
        }

        return bytes.toString('utf8', 0, end)
      } finally {
        await file.close()
      }
    })
    for (const [number, line] of text.split('\n').entries()) {
      if (line === '') continue
      const event = parseEvent(line)
      if (!event) throw this.#damaged(`line ${number + 1} is not one of its own`)
      if (event.event === 'plan' && event.id !== planId) throw this.#damaged('belongs to another plan')
      this.#take(event)
    }

    if (text !== '' && this.#quarantine === undefined) throw this.#damaged('does not say which plan it belongs to')
  }

  #take(event: JournalEvent): void {
    switch (event.event) {
      case 'locked': {
        this.#lock = event.mac
        return
      }

      case 'plan': {
        this.#quarantine = event.quarantine
        return
      }

      case 'unlocked': {
        this.#lock = undefined
        return
      }

      default: {
        this.#steps.set(event.step, next(this.step(event.step), event))
      }
    }
  }
}

type StepEvent = Extract<JournalEvent, {readonly step: number}>

function next(progress: StepProgress, event: StepEvent): StepProgress {
  switch (event.event) {
    case 'begin': {
      return progress.status === 'undone' ? {...NOTHING, status: 'begun'} : {...progress, status: 'begun'}
    }

    case 'done': {
      return {...progress, after: [...new Set([event.after, ...progress.after])], status: 'done'}
    }

    case 'failed': {
      return {...progress, status: 'failed'}
    }

    case 'quarantined': {
      return {...progress, records: [...progress.records, {record: event.record, tag: event.tag}]}
    }

    case 'undoing': {
      return {...progress, status: 'undoing'}
    }

    case 'undone': {
      return {...progress, after: [event.after], status: 'undone'}
    }

    case 'writing': {
      const made = new Map(progress.made)
      made.set(event.tag, new Set([...(made.get(event.tag) ?? []), ...event.after]))
      return {...progress, after: [...new Set([...event.after, ...progress.after])], made}
    }

    default: {
      return event satisfies never
    }
  }
}

function parseEvent(line: string): JournalEvent | undefined {
  let json: unknown
  try {
    json = JSON.parse(line)
  } catch {
    return undefined
  }

  return isObject(json) && isEvent(json) ? json : undefined
}

function isEvent(json: JsonObject): json is JournalEvent & JsonObject {
  const {event, id, mac, quarantine, step} = json
  if (event === 'unlocked') return true
  if (event === 'locked') return isString(mac) && isMac(mac)
  if (event === 'plan') return isString(id) && isString(quarantine)
  return isCount(step) && step > 0 && isStepEvent(json)
}

function isStepEvent({after, event, message, record, tag}: JsonObject): boolean {
  switch (event) {
    case 'begin':
    case 'undoing': {
      return true
    }

    case 'done':
    case 'undone': {
      return isTagState(after)
    }

    case 'failed': {
      return isString(message)
    }

    case 'quarantined': {
      return isString(record) && isString(tag)
    }

    case 'writing': {
      return isString(tag) && Array.isArray(after) && after.every((one) => isTagState(one))
    }

    default: {
      return false
    }
  }
}

function isTagState(value: unknown): value is TagState {
  return isString(value) && (value === 'absent' || value === 'unreadable' || isDigest(value))
}
