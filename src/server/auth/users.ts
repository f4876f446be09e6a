import {bcryptVerify} from 'hash-wasm'
import {LRUCache} from 'lru-cache'
import {createHmac, randomBytes, timingSafeEqual} from 'node:crypto'
import {readFile, stat} from 'node:fs/promises'

import {InvalidArgumentError} from '../../errors.js'
import {fileOperation} from '../../util/fs-error.js'

/** Who may come in, with the secret that each has to show. */
export interface Users {
  check(user: string, password: string): Promise<boolean>
}

/** bcrypt is slow on purpose: what was right a moment ago need not be computed again for the next blob. */
const REMEMBER_MS = 5 * 60 * 1000
const REMEMBER_MAX = 1000
/** bcrypt itself takes no more. */
const MAX_BCRYPT_BYTES = 72
const MAX_FILE_BYTES = 1024 * 1024

const BCRYPT = /^\$2[abxy]\$\d\d\$[\d./A-Za-z]{53}$/
/** Permission bits of everybody but the owner. */
const OTHERS = 0o077

/** Users from `user:secret` pairs; a secret is a password or its bcrypt hash. */
export class UserTable implements Users {
  readonly #key = randomBytes(32)
  readonly #known = new LRUCache<string, true>({max: REMEMBER_MAX, ttl: REMEMBER_MS})
  readonly #secrets: ReadonlyMap<string, string>

  constructor(secrets: ReadonlyMap<string, string>) {
    this.#secrets = secrets
  }

  async check(user: string, password: string): Promise<boolean> {
    const secret = this.#secrets.get(user)
    // For a user that there is not, the work is the same: the time taken does not tell who there is.
    const compared = secret ?? this.#secrets.values().next().value ?? ''
    const isRight = BCRYPT.test(compared)
      ? await this.#bcrypt(user, password, compared)
      : this.#plain(password, compared)
    return isRight && secret !== undefined
  }

  async #bcrypt(user: string, password: string, hash: string): Promise<boolean> {
    if (password === '' || Buffer.byteLength(password) > MAX_BCRYPT_BYTES) return false
    const fingerprint = this.#mac(JSON.stringify([user, password, hash])).toString('base64')
    if (this.#known.has(fingerprint)) return true
    const isRight = await bcryptVerify({hash, password})
    if (isRight) this.#known.set(fingerprint, true)
    return isRight
  }

  #mac(text: string): Buffer {
    return createHmac('sha256', this.#key).update(text).digest()
  }

  #plain(password: string, secret: string): boolean {
    return timingSafeEqual(this.#mac(password), this.#mac(secret))
  }
}

/**
 * Reads a file of `user:password` lines as `htpasswd -B` writes them. Passwords may stand there in the clear if nobody
 * but the owner can read the file. Empty lines and lines that begin with `#` are passed over.
 * @throws InvalidArgumentError naming the line, never its content | LocalIoError
 */
export async function readUsers(path: string): Promise<UserTable> {
  const stats = await fileOperation('read', path, () => stat(path))
  if (!stats.isFile() || stats.size > MAX_FILE_BYTES) throw new InvalidArgumentError(`${path}: not a file of users`)
  const secrets = parseUsers(await fileOperation('read', path, () => readFile(path, 'utf8')), path)
  const isPlain = [...secrets.values()].some((secret) => !BCRYPT.test(secret))
  // eslint-disable-next-line no-bitwise -- permissions are bits
  if (isPlain && process.platform !== 'win32' && (stats.mode & OTHERS) !== 0) {
    throw new InvalidArgumentError(`${path}: holds passwords in the clear, and others can read it`, {
      facts: {path},
      suggestions: [`Run chmod 600 on it, or write it with htpasswd -B.`],
    })
  }

  return new UserTable(secrets)
}

/** @throws InvalidArgumentError naming the line, never its content */
export function parseUsers(text: string, path: string): ReadonlyMap<string, string> {
  const secrets = new Map<string, string>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    const where = `${path}: line ${index + 1}`
    if (colon < 1 || colon === line.length - 1) throw new InvalidArgumentError(`${where}: not user:password`)
    const user = line.slice(0, colon)
    const secret = line.slice(colon + 1)
    if (secrets.has(user)) throw new InvalidArgumentError(`${where}: the same user again`)
    if (/^(?:\$(?:apr1|1|5|6)\$|\{SHA\})/.test(secret) || (secret.startsWith('$2') && !BCRYPT.test(secret))) {
      throw new InvalidArgumentError(`${where}: a kind of hash that is not taken`, {
        suggestions: ['Write the line with htpasswd -B, which makes a bcrypt hash.'],
      })
    }

    secrets.set(user, secret)
  }

  if (secrets.size === 0) throw new InvalidArgumentError(`${path}: no users`)
  return secrets
}
