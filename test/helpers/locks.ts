import {randomBytes} from 'node:crypto'

import {createCodec} from '../../src/kloset/codec/codec.js'
import {unlock} from '../../src/kloset/codec/kdf.js'
import {hashingOf, macKeyOf} from '../../src/kloset/configuration.js'
import {KNOWN_VERSIONS, sealEnvelope} from '../../src/kloset/envelope.js'
import {createHasher} from '../../src/kloset/hashing.js'
import {encodeLock} from '../../src/kloset/lock.js'
import {parseMac} from '../../src/kloset/mac.js'
import {KlosetStore} from '../../src/kloset/store.js'
import {timestampFromMillis} from '../../src/kloset/timestamp.js'
import {openRepository} from '../../src/registry/open.js'
import {bufferSource} from '../../src/util/content-source.js'

export interface PutLockOptions {
  readonly exclusive?: boolean
  readonly hostname?: string
  /** Another time: a renewal. */
  readonly mac?: string
  /** Of an encrypted store. */
  readonly passphrase?: string
}

/** Puts a lock of that age into a store. @returns its MAC */
export async function putLock(location: string, ageMs: number, options: PutLockOptions = {}): Promise<string> {
  const {exclusive = true, hostname = 'backup-host'} = options
  const repository = await openRepository(location)
  try {
    const store = new KlosetStore(repository)
    const configuration = await store.configuration()
    const version = KNOWN_VERSIONS.lock[0]!
    const lock = {exclusive, hostname, timestamp: timestampFromMillis(Date.now() - ageMs), version}
    const {encryption} = configuration
    const secret =
      encryption && options.passphrase !== undefined ? await unlock(encryption, options.passphrase) : undefined
    const codec = await createCodec(configuration, secret)
    const hasher = await createHasher(hashingOf(configuration), await macKeyOf(configuration, secret?.bytes))
    const bytes = sealEnvelope(await codec.encode(encodeLock(lock)), {hasher, resource: 'lock', version})
    const mac = options.mac ?? randomBytes(32).toString('hex')
    await store.put('lock', parseMac(mac), bufferSource(bytes))
    return mac
  } finally {
    await repository.close()
  }
}
