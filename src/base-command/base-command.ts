import {Command, Flags} from '@oclif/core'

import {refuseEmpty} from '../cli/args.js'
import {type Failure, failureOf, rememberFailure} from '../cli/failure.js'
import {JsonStream} from '../cli/json-stream.js'
import {print, printDocument} from '../cli/output.js'
import {createProgress, type Progress} from '../cli/progress.js'
import {Interruption} from '../cli/signals.js'
import {visible} from '../cli/visible.js'
import {EXIT} from '../exit-codes.js'

/** Flags of every command, parsed. */
export interface OutputFlags {
  readonly progress: boolean
  readonly 'progress-interval'?: number | undefined
}

export const outputFlags = {
  json: Flags.boolean({
    description: 'print one JSON document on standard output instead, for errors too',
    helpGroup: 'OUTPUT',
  }),
  progress: Flags.boolean({
    allowNo: true,
    default: true,
    description: 'show progress on standard error when it is a terminal',
    helpGroup: 'OUTPUT',
  }),
  'progress-interval': Flags.integer({
    description:
      'without a terminal, print a progress line on standard error at most every so many seconds (SIGUSR1 has one printed at any time)',
    helpGroup: 'OUTPUT',
    helpValue: 'SECONDS',
    min: 1,
  }),
}

/**
 * What every command shares: one JSON document under `--json`, exit codes, errors, progress, Ctrl-C.
 * A command parses, calls the layers below, prints for people and returns its typed result.
 */
export abstract class BaseCommand extends Command {
  static override baseFlags = outputFlags
  static override enableJsonFlag = true

  #exitCode: number = EXIT.done
  readonly #interruption = new Interruption()
  /** Why a file beside the result could not be written. */
  #late: Error | undefined
  #progress: Progress | undefined
  #stream: JsonStream | undefined

  /** The name and version of the command's JSON document. */
  get schema(): string {
    return `${this.config.bin}/${(this.id ?? 'command').replaceAll(':', '-')}/v1`
  }

  /** Aborts on the first Ctrl-C, SIGTERM or SIGHUP. */
  protected get signal(): AbortSignal {
    return this.#interruption.signal
  }

  /**
   * Writes a file beside the result (metrics, a shard's result). A failure of it does not take the result of long work
   * away: it is told after that (`endJson`, `tellLate`).
   */
  protected async beside(write: () => Promise<void>): Promise<void> {
    try {
      await write()
    } catch (error) {
      this.#late ??= error instanceof Error ? error : new Error(String(error))
    }
  }

  /**
   * Sets both exit statuses that the framework knows. Under `--json` the error is printed here and ends here,
   * else it goes on to `main`, which prints it for people.
   */
  protected override async catch(thrown: Error): Promise<void> {
    this.#progress?.stop()
    const failure = thrown === this.#late ? this.#lateFailure(thrown) : this.#failureOf(thrown)
    process.exitCode = failure.exitCode
    if (!this.jsonEnabled() || failure.quiet) throw rememberFailure(thrown, failure)
    if (this.#stream) await this.#stream.end({error: failure.error, exitCode: failure.exitCode})
    else this.logJson(this.toErrorJson(thrown))
    if (process.env['DEBUG'] && thrown.stack) process.stderr.write(`${thrown.stack}\n`)
  }

  /** Ends the document that `streamJson` began. */
  protected async endJson(tail: Readonly<Record<string, unknown>>): Promise<void> {
    const late = this.#late && this.#lateFailure(this.#late)
    if (late) this.exitWith(late.exitCode)
    await this.#stream?.end({...tail, ...(late && {error: late.error}), exitCode: this.#exitCode})
  }

  /** The result is sound, and it is bad news: sets the status that the process ends with. */
  protected exitWith(code: number): void {
    this.#exitCode = code
    process.exitCode = code
  }

  protected override async finally(error: Error | undefined): Promise<void> {
    this.#progress?.stop()
    this.#interruption.dispose()
    await super.finally(error)
  }

  protected override async init(): Promise<void> {
    await super.init()
    refuseEmpty(this.argv)
  }

  override logJson(json: unknown): void {
    if (!this.#stream) printDocument(JSON.stringify(json, undefined, 2))
  }

  /** A remark for people, on standard error; nothing under `--json`. */
  protected note(text: string): void {
    if (!this.jsonEnabled()) process.stderr.write(`${visible(text, {keepColours: true})}\n`)
  }

  /** Lines for people, on standard output; nothing under `--json`. */
  protected print(...lines: readonly string[]): void {
    this.#progress?.stop()
    if (!this.jsonEnabled()) print(...lines)
  }

  protected async startProgress(flags: OutputFlags): Promise<Progress> {
    this.#progress = await createProgress({
      enabled: flags.progress && !this.jsonEnabled(),
      interval: flags['progress-interval'],
    })
    return this.#progress
  }

  /**
   * Begins a document too long to hold: `--json` prints it and not the command's result. It is made whole by the
   * command's own `end`, or with an `error` member when the command fails.
   */
  protected streamJson(head: Readonly<Record<string, unknown>>, name: string): JsonStream {
    this.#stream = new JsonStream({schema: this.schema, ...head}, name)
    return this.#stream
  }

  /** To be called when the result has been told. @throws what `beside` could not do, for people; `--json` has it already */
  protected tellLate(): void {
    if (this.#late && !this.jsonEnabled()) throw this.#late
  }

  override toErrorJson(thrown: unknown): {error: Failure['error']; exitCode: number; schema: string} {
    const {error, exitCode} = this.#failureOf(thrown)
    const rest = {error, exitCode}
    return {schema: this.schema, ...rest}
  }

  override toSuccessJson(result: unknown): Record<string, unknown> {
    return {schema: this.schema, ...(result as object), exitCode: this.#exitCode}
  }

  #failureOf(thrown: unknown): Failure {
    // Whatever broke when the work was told to stop, it broke because of that.
    const cause = this.signal.aborted ? this.signal.reason : thrown
    return failureOf(cause, `${this.config.bin} ${(this.id ?? '').replaceAll(':', ' ')} --help`)
  }

  /** What the result says counts for more than that a file beside it is missing. */
  #lateFailure(late: Error): Failure {
    const failure = this.#failureOf(late)
    return {...failure, exitCode: this.#exitCode === EXIT.done ? failure.exitCode : this.#exitCode}
  }
}
