import {chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import type {Environment} from '../../src/registry/auth/credential-paths.js'

import {scratchDir} from './hooks.js'

/** What a helper program of the tests does: a body of JavaScript with `action`, `input`, `path` (its store) and `fs`. */
const KEEPER = `
  const store = fs.existsSync(path) ? JSON.parse(fs.readFileSync(path, 'utf8')) : {}
  const save = () => fs.writeFileSync(path, JSON.stringify(store))
  if (action === 'get') {
    const found = store[input.trim()]
    if (!found) { process.stdout.write('credentials not found in native keychain\\n'); process.exit(1) }
    process.stdout.write(JSON.stringify({ServerURL: input.trim(), ...found}))
  } else if (action === 'store') {
    const {ServerURL, ...rest} = JSON.parse(input)
    store[ServerURL] = rest
    save()
  } else if (action === 'erase') {
    delete store[input.trim()]
    save()
  } else process.exit(2)
`

/** A home with nothing in it, and credential helpers on a PATH of its own. */
export class TestHome {
  readonly dir = scratchDir('home')
  readonly env: Environment
  readonly #bin = join(this.dir, 'bin')

  constructor(env: Environment = {}) {
    mkdirSync(this.#bin)
    this.env = {HOME: this.dir, PATH: this.#bin, ...env}
  }

  /** Installs `docker-credential-NAME`. Without a script it keeps logins in a file, as a keychain would. */
  addHelper(name: string, script = KEEPER): void {
    const program = join(this.#bin, `docker-credential-${name}`)
    writeFileSync(
      program,
      `#!${process.execPath}
const fs = require('node:fs')
const path = ${JSON.stringify(this.#storeOf(name))}
const action = process.argv[2]
fs.appendFileSync(${JSON.stringify(this.#logOf(name))}, process.argv.slice(2).join(' ') + '\\n')
let input = ''
process.stdin.on('data', (chunk) => { input += chunk }).on('end', () => {
${script}
})
`,
    )
    chmodSync(program, 0o755)
  }

  /** Arguments that a helper was started with, one start a line. */
  calls(name: string): readonly string[] {
    const log = this.#logOf(name)
    return existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []
  }

  keep(name: string, server: string, login: {readonly Secret: string; readonly Username: string}): void {
    writeFileSync(this.#storeOf(name), JSON.stringify({...this.kept(name), [server]: login}))
  }

  /** What a keeping helper keeps, by server. */
  kept(name: string): Record<string, {Secret: string; Username: string}> {
    const path = this.#storeOf(name)
    return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as ReturnType<TestHome['kept']>) : {}
  }

  path(...parts: readonly string[]): string {
    return join(this.dir, ...parts)
  }

  /** Writes a file below the home, as it is or as JSON. */
  write(name: string, content: unknown): string {
    const path = this.path(name)
    mkdirSync(join(path, '..'), {recursive: true})
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
    return path
  }

  #logOf(name: string): string {
    return this.path(`${name}.log`)
  }

  #storeOf(name: string): string {
    return this.path(`${name}.json`)
  }
}

/** The `auth` of a credential file. */
export function authOf(username: string, password: string): string {
  return Buffer.from(`${username}:${password}`).toString('base64')
}
