import {InvalidArgumentError} from '../errors.js'
import {drain} from '../util/drain.js'
import {AtomicFile} from './atomic-file.js'
import {writeOut} from './output.js'

/** Standard output as a destination. */
export const STDOUT = '-'

/**
 * Where content goes: a file, or standard output.
 * @throws InvalidArgumentError when it would go where the JSON document goes
 */
export function destinationOf(output: string | undefined, {json}: {readonly json: boolean}): string {
  const file = output ?? STDOUT
  if (file !== STDOUT || !json) return file
  throw new InvalidArgumentError('standard output cannot hold both the content and the JSON document', {
    suggestions: ['Give -o FILE.'],
  })
}

/**
 * Writes content to a file, which appears whole or not at all, or to standard output.
 * @returns its bytes
 */
export async function writeContent(
  destination: string,
  content: AsyncIterable<Buffer>,
  told: (size: number) => void,
): Promise<number> {
  const file = destination === STDOUT ? undefined : await AtomicFile.create(destination)
  let size = 0
  try {
    await drain(content, (piece) => {
      size += piece.length
      told(size)
      // Standard output keeps what it cannot write at once.
      return file ? file.write(piece) : writeOut(Buffer.from(piece))
    })

    await file?.commit()
  } catch (error) {
    await file?.discard()
    throw error
  }

  return size
}
