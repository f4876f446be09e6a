import {execFile} from 'node:child_process'
import {chmod, copyFile, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {createRequire} from 'node:module'
import {tmpdir} from 'node:os'
import {join, resolve} from 'node:path'
import {promisify} from 'node:util'

import {InvalidArgumentError, KlosetOciError, messageOf, NotFoundError, UnsupportedError} from '../../errors.js'
import {fileOperation} from '../../util/fs-error.js'
import {type Platform, platformName} from './platform.js'

const run = promisify(execFile)

export interface StandaloneOptions {
  /** Node to put the script into. */
  readonly node: string
  readonly platform: Platform
  readonly script: string
  readonly signal?: AbortSignal | undefined
  /** The program to write. */
  readonly target: string
}

/** What Node looks for in itself; a build without it cannot carry a script. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'
const RESOURCE = 'NODE_SEA_BLOB'

/**
 * Writes a program that is Node with the script inside.
 * @throws InvalidArgumentError when `node` is not a Node of that platform and of this version
 * @throws UnsupportedError when that Node cannot carry a script
 * @see https://nodejs.org/api/single-executable-applications.html
 */
export async function writeStandalone({node, platform, script, signal, target}: StandaloneOptions): Promise<void> {
  const postject = findPostject()
  const own = resolve(node) === process.execPath
  const program = await fileOperation('read', node, async () => readFile(node))
  checkProgram(program, {node, platform})
  const dir = await mkdtemp(join(tmpdir(), 'kloset-oci-sea-'))
  try {
    const blob = await prepare(dir, script, own, signal)
    await fileOperation('write', target, async () => {
      await rm(target, {force: true})
      await copyFile(node, target)
      await chmod(target, 0o755)
    })
    if (platform.os === 'darwin') await sign(target, 'remove')
    const segment = platform.os === 'darwin' ? ['--macho-segment-name', 'NODE_SEA'] : []
    await run(process.execPath, [postject, target, RESOURCE, blob, '--sentinel-fuse', FUSE, ...segment], {
      ...(signal && {signal}),
    })
    await expectInside(target, blob)
    if (platform.os === 'darwin') await sign(target, 'add')
  } catch (error) {
    await rm(target, {force: true})
    signal?.throwIfAborted()
    if (error instanceof KlosetOciError) throw error
    throw new KlosetOciError('IO', `the standalone program could not be made: ${messageOf(error)}`, {cause: error})
  } finally {
    await rm(dir, {force: true, recursive: true})
  }
}

/** The program that puts a resource into an executable: a process of its own, for its memory and its remarks. */
function findPostject(): string {
  try {
    return createRequire(import.meta.url).resolve('postject/dist/cli.js')
  } catch (error) {
    throw new NotFoundError('postject, which puts a script into a copy of Node, is not installed', {
      cause: error,
      suggestions: ['npm install postject'],
    })
  }
}

/** Path of the script in the form that Node reads from itself: with Node's own compiled code, when it is the same Node. */
async function prepare(dir: string, script: string, useCodeCache: boolean, signal?: AbortSignal): Promise<string> {
  const config = join(dir, 'sea.json')
  const output = join(dir, 'sea.blob')
  await writeFile(config, JSON.stringify({disableExperimentalSEAWarning: true, main: script, output, useCodeCache}))
  await run(process.execPath, ['--experimental-sea-config', config], {cwd: dir, ...(signal && {signal})})
  return output
}

/** Where it finds no place for the script, postject leaves a program without it, and says nothing. */
async function expectInside(target: string, blob: string): Promise<void> {
  const [program, script] = await Promise.all([readFile(target), readFile(blob)])
  if (program.includes(`${FUSE}:1`) && program.includes(script)) return
  throw new KlosetOciError('IO', `${target}: postject found no place for the script in that Node`, {
    suggestions: ['Take the node of the archive that nodejs.org offers for the platform, with --node'],
  })
}

const MACHINES: Readonly<Record<string, Platform>> = {
  'elf-3e': {arch: 'amd64', os: 'linux'},
  'elf-b7': {arch: 'arm64', os: 'linux'},
  'mach-100000c': {arch: 'arm64', os: 'darwin'},
  'mach-1000007': {arch: 'amd64', os: 'darwin'},
}

function checkProgram(program: Buffer, {node, platform}: {node: string; platform: Platform}): void {
  const machine = machineOf(program)
  const found = machine === undefined ? undefined : MACHINES[machine]
  if (!found) throw new InvalidArgumentError(`${node}: not a program for linux or darwin, on amd64 or arm64`)
  if (found.arch !== platform.arch || found.os !== platform.os) {
    throw new InvalidArgumentError(`${node}: a program for ${platformName(found)}, not for ${platformName(platform)}`)
  }

  if (!program.includes(`${FUSE}:0`)) {
    throw new UnsupportedError(
      program.includes(`${FUSE}:1`)
        ? `${node}: it carries a script already`
        : `${node}: this build of Node cannot carry a script`,
      {suggestions: ['Take the node of the archive that nodejs.org offers for the platform, with --node']},
    )
  }

  if (program.includes(process.version)) return
  throw new InvalidArgumentError(`${node}: not the version of Node that runs this, ${process.version}`, {
    suggestions: [`Take Node ${process.version} for ${platformName(platform)}`],
  })
}

/** What the head of a program says of its machine. */
function machineOf(program: Buffer): string | undefined {
  if (program.length < 64) return undefined
  // ELF, 64 bits, little-endian
  if (program.readUInt32BE(0) === 0x7f_45_4c_46 && program[4] === 2 && program[5] === 1) {
    return `elf-${program.readUInt16LE(18).toString(16)}`
  }

  // Mach-O, 64 bits
  if (program.readUInt32LE(0) === 0xfe_ed_fa_cf) return `mach-${program.readUInt32LE(4).toString(16)}`
  return undefined
}

/** Whether programs for that platform are signed here: macOS on arm64 runs none without a signature. */
export function canSign({os}: Platform): boolean {
  return os !== 'darwin' || process.platform === 'darwin'
}

/** Ad hoc. What postject makes has none, and the signature of the Node that it is made of says nothing of it. */
async function sign(target: string, step: 'add' | 'remove'): Promise<void> {
  if (process.platform !== 'darwin') return
  await run('codesign', step === 'add' ? ['--sign', '-', target] : ['--remove-signature', target])
}
