import type {Context} from 'mocha'

import {expect} from 'chai'
import {lstatSync, readdirSync, readFileSync, readlinkSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'

import {
  findOfficialPlugin,
  findPlakar,
  type Plakar,
  plakarLike,
  type PlakarResult,
  type PlakarRunOptions,
  startPlakar,
  strayPluginsOf,
} from './plakar.js'
import {pluginPackage} from './plugin-package.js'

/** How long a plugin may take to end after plakar has. */
const END_MS = 6000

/** Path of plakar; the test is skipped, with the reason, where it is not there. */
export function needPlakar(mocha: Context): string {
  return findPlakar() ?? missing(mocha, 'plakar is not on PATH or in KLOSET_OCI_PLAKAR')
}

/** Path of the official plugin's package; the test is skipped, with the reason, where it is not there. */
export function needOfficialPlugin(mocha: Context): string {
  return findOfficialPlugin() ?? missing(mocha, 'KLOSET_OCI_OFFICIAL_PLUGIN names no package')
}

function missing(mocha: Context, what: string): never {
  if ((process.env['KLOSET_OCI_REQUIRE_PEERS'] ?? '').split(/[\s,]+/).includes('plakar')) throw new Error(what)
  process.stderr.write(`skipped: ${what}\n`)
  return mocha.skip()
}

const started: Plakar[] = []

/** A home with our plugin. `stopPlakars` ends it. */
export async function plakarWithOurs(program: string): Promise<PlakarUser> {
  return plakarWith(program, await pluginPackage(program))
}

export async function plakarWith(program: string, plugin?: string): Promise<PlakarUser> {
  const plakar = await startPlakar(program, plugin)
  started.push(plakar)
  return new PlakarUser(plakar)
}

/** A new home with what is installed in another one, and no cache. `stopPlakars` ends it. */
export function plakarLikeThat(program: string, other: PlakarUser): PlakarUser {
  const plakar = plakarLike(program, other)
  started.push(plakar)
  return new PlakarUser(plakar)
}

/** For `afterEach`. */
export async function stopPlakars(): Promise<void> {
  for (const plakar of started.splice(0)) await plakar.close()
}

/** Commands of plakar that have to work, and leave no plugin behind. */
export class PlakarUser {
  /** Besides what every plakar has. */
  env: NodeJS.ProcessEnv = {}
  readonly home: string
  /** Of encrypted stores. */
  passphrase: string | undefined
  readonly #plakar: Plakar

  constructor(plakar: Plakar) {
    this.#plakar = plakar
    this.home = plakar.home
  }

  async backup(location: string, source: string): Promise<string> {
    const before = await this.snapshots(location)
    await this.ok('-quiet', 'at', location, 'backup', source)
    // plakar exits 0 after some failures: only what it lists counts.
    const made = (await this.snapshots(location)).filter((id) => !before.includes(id))
    expect(made).to.have.length(1)
    return made[0]!
  }

  /** Checks everything, and says so. */
  async check(location: string): Promise<void> {
    const {stderr, stdout} = await this.ok('at', location, 'check')
    expect(stdout + stderr).to.match(/check completed without errors/)
  }

  /** Ends this plakar and removes its home. */
  async close(): Promise<void> {
    started.splice(started.indexOf(this.#plakar), 1)
    await this.#plakar.close()
  }

  async create(location: string): Promise<void> {
    await this.ok('at', location, 'create', ...(this.passphrase === undefined ? ['-plaintext'] : []))
  }

  /** Ends everything at once, as a machine that loses its power does. */
  kill(): void {
    this.#plakar.kill()
  }

  async ok(...args: string[]): Promise<PlakarResult> {
    const result = await this.run(...args)
    expect(result.status, `plakar ${args.join(' ')}: ${result.stdout}${result.stderr}`).to.equal(0)
    return result
  }

  /** Restores a snapshot and compares it with its source, byte for byte. */
  async restore(location: string, snapshot: string, source: string): Promise<void> {
    const target = join(this.home, `restored-${snapshot.slice(0, 8)}-${Math.random().toString(36).slice(2)}`)
    await this.ok('-quiet', 'at', location, 'restore', '-to', target, snapshot)
    expectSameTree(target, source)
  }

  async run(...args: string[]): Promise<PlakarResult> {
    return this.runWith({}, ...args)
  }

  async runWith(options: PlakarRunOptions, ...args: string[]): Promise<PlakarResult> {
    const result = await this.#plakar.run(args, {env: this.env, passphrase: this.passphrase, ...options})
    await this.#expectNoStrays(args)
    return result
  }

  /** Identifiers, newest first. */
  async snapshots(location: string): Promise<string[]> {
    const {stdout} = await this.ok('at', location, 'ls', '-uuid')
    return [...stdout.matchAll(/\b[\da-f]{64}\b/g)].map(([id]) => id)
  }

  async #expectNoStrays(args: readonly string[]): Promise<void> {
    const end = Date.now() + END_MS
    let strays = strayPluginsOf(this.home)
    while (strays.length > 0 && Date.now() < end) {
      await delay(20)
      strays = strayPluginsOf(this.home)
    }

    expect(strays, `left by plakar ${args.join(' ')}`).to.deep.equal([])
  }
}

/** Two folders with the same names, kinds, permissions, links and bytes. */
export function expectSameTree(actual: string, expected: string): void {
  expect(namesBelow(actual)).to.deep.equal(namesBelow(expected))
  for (const name of namesBelow(expected)) {
    const [left, right] = [lstatSync(join(actual, name)), lstatSync(join(expected, name))]
    expect(left.mode, `mode of ${name}`).to.equal(right.mode)
    if (right.isSymbolicLink()) {
      expect(readlinkSync(join(actual, name)), name).to.equal(readlinkSync(join(expected, name)))
    } else if (right.isFile()) {
      expect(readFileSync(join(actual, name)).equals(readFileSync(join(expected, name))), name).to.equal(true)
    }
  }
}

function namesBelow(root: string): string[] {
  return readdirSync(root, {recursive: true}).map(String).sort()
}
