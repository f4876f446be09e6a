import type {CredentialSource} from '../registry/auth/credentials.js'
import type {ProbeResult, ProbeStatus} from '../registry/probe/probe.js'

import {errorToJson} from '../errors.js'
import {EXIT} from '../exit-codes.js'
import {explainCredential} from '../registry/auth/credentials.js'
import {PROBES} from '../registry/probe/probe.js'
import {parseLocation} from '../registry/reference.js'
import {throwIfAborted} from '../util/abort.js'
import {paint} from './colors.js'
import {plural} from './format.js'

const MARKS: Readonly<Record<ProbeStatus, string>> = {
  fail: paint.bold.red('FAIL'),
  ok: paint.green('ok  '),
  skip: paint.dim('skip'),
  warn: paint.yellow('warn'),
}

const NAME_WIDTH = Math.max(...PROBES.map((name) => name.length))

/** A probe's result on a line, and under it what to do. */
export function probeLine({message, name, nextSteps, status}: ProbeResult): string[] {
  const indent = ' '.repeat(4 + 2 + NAME_WIDTH + 2)
  return [
    `${MARKS[status]}  ${name.padEnd(NAME_WIDTH)}  ${message}`,
    ...nextSteps.map((step) => `${indent}next: ${step}`),
  ]
}

/** What was not looked at, a line for each reason. */
export function skippedLines(probes: readonly ProbeResult[]): string[] {
  const names = new Map<string, string[]>()
  for (const {message, name, status} of probes) {
    if (status === 'skip') names.set(message, [...(names.get(message) ?? []), name])
  }

  return [...names].map(([message, skipped]) => `${MARKS.skip}  ${paint.dim(`${skipped.join(', ')}: ${message}`)}`)
}

export function summaryLine(probes: readonly ProbeResult[]): string {
  const count = (status: ProbeStatus) => probes.filter((probe) => probe.status === status).length
  const [fails, warns] = [count('fail'), count('warn')]
  if (fails > 0) return paint.bold.red(`${plural(fails, 'thing')} will not work`) + `, ${plural(warns, 'warning')}`
  if (warns > 0) return paint.yellow(`everything works, with ${plural(warns, 'warning')}`)
  return paint.green('everything that was looked at works')
}

/** A missing right outweighs a missing function: it is what can be mended first. */
export function exitCodeOf(probes: readonly ProbeResult[]): number {
  const fails = probes.filter(({status}) => status === 'fail')
  if (fails.length === 0) return EXIT.done
  return fails.some(({code}) => code === 'UNAUTHORIZED' || code === 'FORBIDDEN') ? EXIT.auth : EXIT.unavailable
}

/** Which login would be used, without what it is. */
export async function credentialResult(
  location: string,
  source: CredentialSource,
  {signal}: {readonly signal?: AbortSignal | undefined} = {},
): Promise<ProbeResult> {
  const base = {name: 'credential', nextSteps: [] as string[]} as const
  const parsed = parseLocation(location)
  if (parsed.kind === 'layout') return {...base, facts: {}, message: 'a directory needs no login', status: 'skip'}
  const {registry, repository} = parsed.reference
  try {
    const {found, kind, origin, username} = await explainCredential({registry, repository}, source, {signal})
    if (!found || !origin) return {...base, facts: {}, message: `no login is kept for ${registry}`, status: 'ok'}
    const {file, helper, source: from} = origin
    const who = username === undefined ? `a login of kind ${kind}` : `user ${username}`
    const where = helper === undefined ? (file ?? `the ${from}`) : `docker-credential-${helper}`
    return {
      ...base,
      facts: {
        source: from,
        ...(kind && {kind}),
        ...(file !== undefined && {file}),
        ...(helper !== undefined && {helper}),
      },
      message: `${who}, from ${where}`,
      status: 'ok',
    }
  } catch (error) {
    throwIfAborted(signal)
    const {code, facts, message, suggestions} = errorToJson(error)
    return {code, facts, message, name: 'credential', nextSteps: suggestions, status: 'fail'}
  }
}
