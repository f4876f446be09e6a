import type {Compression} from './compression.js'

import {VersionError} from '../../../errors.js'
import {gzip} from './gzip.js'
import {createLz4} from './lz4.js'
import {createZstd} from './zstd.js'

export type {Compression} from './compression.js'

/** Compressions that are read and written. @see kloset compression/compression.go */
export const COMPRESSIONS = ['LZ4', 'GZIP', 'ZSTD'] as const

/** @throws VersionError when the store is compressed in a way that this program does not know */
export async function createCompression(algorithm: string): Promise<Compression> {
  switch (algorithm) {
    case 'GZIP': {
      return gzip
    }

    case 'LZ4': {
      return createLz4()
    }

    case 'ZSTD': {
      return createZstd()
    }

    default: {
      const shown = algorithm.slice(0, 40)
      throw new VersionError(`compression "${shown}" is not known, only ${COMPRESSIONS.join(', ')}`, {
        facts: {actual: shown, expected: COMPRESSIONS.join(' ')},
        suggestions: ['Update kloset-oci: the store was created by a newer plakar, perhaps.'],
      })
    }
  }
}
