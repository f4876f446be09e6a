import {execFile} from 'node:child_process'
import {constants} from 'node:fs'
import {access, mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {delimiter, isAbsolute, join, resolve} from 'node:path'

import type {Platform} from './platform.js'

import {KlosetOciError, NotFoundError} from '../../errors.js'
import {makeFolders} from '../../util/make-folders.js'

export interface CreateOptions {
  readonly manifest: string
  readonly name: string
  /** Folder that gets the package. */
  readonly outDir: string
  readonly plakar: string
  readonly platform: Platform
  readonly signal?: AbortSignal | undefined
  readonly version: string
}

/** Path of plakar: the one named, or the first on PATH; undefined when there is none there. */
export async function findPlakar(env: NodeJS.ProcessEnv, named?: string): Promise<string | undefined> {
  if (named !== undefined && (isAbsolute(named) || named.includes('/'))) {
    if (await isExecutable(named)) return resolve(named)
    throw new NotFoundError(`${named}: no program is there`)
  }

  for (const dir of (env['PATH'] ?? '').split(delimiter)) {
    const path = join(dir, named ?? 'plakar')
    if (dir !== '' && (await isExecutable(path))) return path
  }

  if (named === undefined) return undefined
  throw new NotFoundError(`${named}: no such program on PATH`)
}

/**
 * Runs `plakar pkg create`, in a home folder of its own: nothing of the user's plakar is read or changed.
 * @returns path of the package, NAME_VERSION_OS_ARCH.ptar, which is what `plakar pkg add` wants it to be called
 */
export async function createPlakarPackage(options: CreateOptions): Promise<string> {
  const {manifest, name, outDir, plakar, platform, signal, version} = options
  const out = resolve(outDir, `${name}_${version}_${platform.os}_${platform.arch}.ptar`)
  const home = await mkdtemp(join(tmpdir(), 'kp-'))
  const env = {...process.env, GOARCH: platform.arch, GOOS: platform.os, HOME: home}
  try {
    await makeFolders(outDir)
    // plakar asks at its first start whether it may look for news, and does nothing else then.
    await run(plakar, ['-disable-security-check'], env, signal).catch(() => {})
    await rm(out, {force: true})
    await run(plakar, ['pkg', 'create', '-out', out, resolve(manifest), version], env, signal)
    await access(out)
  } catch (error) {
    signal?.throwIfAborted()
    const said = error instanceof Error && 'output' in error ? String(error.output).trim() : ''
    throw new KlosetOciError('IO', `plakar pkg create failed${said === '' ? '' : `: ${said.slice(-2000)}`}`, {
      cause: error,
      facts: {manifest, plakar},
      suggestions: [`Try it by hand: ${plakar} pkg create ${manifest} ${version}`],
    })
  } finally {
    await rm(home, {force: true, maxRetries: 5, recursive: true})
  }

  return out
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

async function run(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal | undefined,
): Promise<void> {
  await new Promise<void>((done, reject) => {
    execFile(program, args, {env, ...(signal && {signal})}, (error, stdout, stderr) => {
      if (error) reject(Object.assign(error, {output: `${stdout}${stderr}`}))
      else done()
    })
  })
}
