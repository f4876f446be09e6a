import {InvalidArgumentError, KlosetOciError, messageOf} from '../errors.js'
import {parseLocation} from '../registry/reference.js'

/** What plakar's configuration of a store may hold for this plugin, checked. */
export interface PluginConfig {
  readonly authFile: string | undefined
  readonly cacheBytes: number
  readonly cacheDir: string | undefined
  readonly cacheDirBytes: number
  readonly caFile: string | undefined
  readonly certFile: string | undefined
  readonly concurrency: number
  readonly durable: boolean
  readonly identityToken: string | undefined
  readonly insecureSkipTlsVerify: boolean
  readonly keyFile: string | undefined
  readonly location: string
  readonly maxRunBytes: number
  readonly noProxy: string | undefined
  readonly pageBytes: number
  readonly password: string | undefined
  readonly passwordFile: string | undefined
  /** True: http, false: https, undefined: http for this machine and https for others. */
  readonly plainHttp: boolean | undefined
  readonly proxy: string | undefined
  readonly readOnly: boolean
  readonly retries: number | undefined
  readonly spoolDir: string | undefined
  readonly token: string | undefined
  readonly tokenFile: string | undefined
  readonly username: string | undefined
}

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB

/** Keys, and other names for them: those of the S3 integration where it has a twin. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['access_key', 'username'],
  ['secret_access_key', 'password'],
])

/** What plakar keeps in a store's configuration for itself and may pass on. */
const OF_PLAKAR = new Set(['passphrase', 'passphrase_cmd'])

type Reader<T> = (value: string, key: string) => T

const DEFAULTS = {cacheBytes: 128 * MIB, cacheDirBytes: GIB, concurrency: 16, maxRunBytes: 8 * MIB, pageBytes: MIB}

/** Values of the keys, each read and checked. */
class Values {
  /** Names that were asked for. */
  readonly known = new Set<string>()
  readonly #given: ReadonlyMap<string, string>

  constructor(config: ReadonlyMap<string, string>) {
    const given = new Map<string, string>()
    for (const [key, value] of config) {
      const name = ALIASES.get(key) ?? key
      if (given.has(name)) throw wrong(`${key} and ${otherName(name, key)} say the same thing: give one of them`)
      given.set(name, value)
    }

    this.#given = given
  }

  /** @throws InvalidArgumentError when a key was given that nobody asked for */
  finish(): void {
    for (const key of this.#given.keys()) {
      if (this.known.has(key) || OF_PLAKAR.has(key)) continue
      const near = nearest(key, [...this.known, ...ALIASES.keys()])
      const hint =
        near === undefined ? `known options are ${[...this.known].sort().join(', ')}` : `did you mean ${near}?`
      throw wrong(`unknown option "${key.slice(0, 60)}": ${hint}`)
    }
  }

  get<T>(key: string, read: Reader<T>): T | undefined {
    this.known.add(key)
    const value = this.#given.get(key)
    return value === undefined ? undefined : read(value, key)
  }
}

/**
 * Checks the configuration of a store. Nothing is contacted and no file is read.
 * @throws InvalidArgumentError whose message is one sentence for the operator, without the value of any secret
 */
export function parseConfig(config: ReadonlyMap<string, string>): PluginConfig {
  const values = new Values(config)
  const parsed = readAll(values)
  values.finish()
  checkTogether(parsed)
  return parsed
}

/** Every key that a configuration may have, aliases too. */
export function optionNames(): string[] {
  const values = new Values(new Map([['location', 'oci-layout:/']]))
  readAll(values)
  return [...values.known, ...ALIASES.keys()].sort()
}

function readAll(values: Values): PluginConfig {
  return {
    authFile: values.get('auth_file', text),
    cacheBytes: values.get('cache_size', size(4 * MIB, 64 * GIB)) ?? DEFAULTS.cacheBytes,
    cacheDir: values.get('cache_dir', text),
    cacheDirBytes: values.get('cache_dir_size', size(MIB, 1024 * GIB)) ?? DEFAULTS.cacheDirBytes,
    caFile: values.get('ca_file', text),
    certFile: values.get('cert_file', text),
    concurrency: values.get('concurrency', count(1, 256)) ?? DEFAULTS.concurrency,
    durable: values.get('durable', flag) ?? false,
    identityToken: values.get('identity_token', text),
    insecureSkipTlsVerify: values.get('tls_insecure_no_verify', flag) ?? false,
    keyFile: values.get('key_file', text),
    location: location(values.get('location', text)),
    maxRunBytes: values.get('read_ahead_size', size(64 * KIB, GIB)) ?? DEFAULTS.maxRunBytes,
    noProxy: values.get('no_proxy', text),
    pageBytes: values.get('block_size', size(16 * KIB, 64 * MIB)) ?? DEFAULTS.pageBytes,
    password: values.get('password', text),
    passwordFile: values.get('password_file', text),
    plainHttp: plainHttp(values.get('use_tls', flag), values.get('insecure', flag)),
    proxy: values.get('proxy', proxyUrl),
    readOnly: values.get('read_only', flag) ?? false,
    retries: values.get('retries', count(0, 100)),
    spoolDir: values.get('spool_dir', text),
    token: values.get('token', text),
    tokenFile: values.get('token_file', text),
    username: values.get('username', text),
  }
}

function checkTogether(config: PluginConfig): void {
  const {certFile, identityToken, keyFile, password, passwordFile, token, tokenFile, username} = config
  if (password !== undefined && passwordFile !== undefined) throw wrong('give password or password_file, not both')
  const hasPassword = password !== undefined || passwordFile !== undefined
  if (username !== undefined && !hasPassword) throw wrong('username needs password or password_file')
  if (hasPassword && username === undefined) throw wrong('a password needs username')
  const logins = [hasPassword, token !== undefined, tokenFile !== undefined, identityToken !== undefined]
  if (logins.filter(Boolean).length > 1) {
    throw wrong('give one login: username with a password, token, token_file or identity_token')
  }

  if ((certFile === undefined) !== (keyFile === undefined)) throw wrong('cert_file and key_file need each other')
  if (config.plainHttp && (config.caFile !== undefined || certFile !== undefined || config.insecureSkipTlsVerify)) {
    throw wrong('ca_file, cert_file and tls_insecure_no_verify are about TLS, which use_tls=false turns off')
  }

  if (config.pageBytes * 4 > config.cacheBytes) throw wrong('cache_size must hold four blocks of block_size at least')
}

function count(min: number, max: number): Reader<number> {
  return (value, key) => {
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
    if (number >= min && number <= max) return number
    throw wrong(`${key} is a number from ${min} to ${max}, not "${value.slice(0, 40)}"`)
  }
}

function flag(value: string, key: string): boolean {
  if (/^(?:true|1|yes|on)$/i.test(value)) return true
  if (/^(?:false|0|no|off)$/i.test(value)) return false
  throw wrong(`${key} is true or false, not "${value.slice(0, 40)}"`)
}

function location(value: string | undefined): string {
  if (value === undefined) throw wrong('location is missing: it looks like oci://registry.example/backups/main')
  try {
    parseLocation(value)
  } catch (error) {
    throw new InvalidArgumentError(`location: ${messageOf(error)}`, {
      cause: error,
      suggestions: error instanceof KlosetOciError ? error.suggestions : [],
    })
  }

  return value
}

function plainHttp(useTls: boolean | undefined, insecure: boolean | undefined): boolean | undefined {
  if (useTls !== undefined && insecure !== undefined && useTls === insecure) {
    throw wrong('use_tls and insecure contradict each other: give one of them')
  }

  if (useTls !== undefined) return !useTls
  // Without TLS when asked for; insecure=false only takes the request back.
  return insecure === true ? true : undefined
}

function proxyUrl(value: string, key: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url && (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname !== '') return value
  throw wrong(`${key} is a URL like http://proxy.example:3128`)
}

function size(min: number, max: number): Reader<number> {
  return (value, key) => {
    const match = /^(?<amount>\d{1,12}) ?(?<unit>[kmg]?)(?:i?b)?$/i.exec(value)
    const unit = {g: GIB, k: KIB, m: MIB}[match?.groups?.['unit']?.toLowerCase() ?? ''] ?? 1
    const bytes = match ? Number(match.groups?.['amount']) * unit : Number.NaN
    if (bytes >= min && bytes <= max) return bytes
    throw wrong(`${key} is a size from ${human(min)} to ${human(max)}, like 128MiB, not "${value.slice(0, 40)}"`)
  }
}

function text(value: string, key: string): string {
  if (value !== '') return value
  throw wrong(`${key} is empty`)
}

function human(bytes: number): string {
  if (bytes >= GIB) return `${bytes / GIB}GiB`
  return bytes >= MIB ? `${bytes / MIB}MiB` : `${bytes / KIB}KiB`
}

function otherName(name: string, key: string): string {
  if (name !== key) return name
  for (const [alias, meant] of ALIASES) if (meant === name) return alias
  return name
}

/** The known key that differs least, if any is near. */
function nearest(key: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = 3
  for (const candidate of known) {
    const distance = editDistance(key.toLowerCase().replaceAll('-', '_'), candidate)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }

  return best
}

function editDistance(left: string, right: string): number {
  let row = Array.from({length: right.length + 1}, (_, index) => index)
  for (let i = 1; i <= left.length; i++) {
    const next = [i]
    for (let j = 1; j <= right.length; j++) {
      const cost = left[i - 1] === right[j - 1] ? 0 : 1
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + cost))
    }

    row = next
  }

  return row[right.length]!
}

function wrong(message: string): InvalidArgumentError {
  return new InvalidArgumentError(message)
}
