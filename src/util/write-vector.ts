import type {FileHandle} from 'node:fs/promises'

/**
 * Writes pieces one behind the other: one system call as a rule, more when the system takes less than it is offered.
 * @param position in bytes from the file's begin
 */
export async function writeVector(handle: FileHandle, pieces: readonly Uint8Array[], position: number): Promise<void> {
  let rest = pieces
  let at = position
  while (rest.length > 0) {
    const {bytesWritten} = await handle.writev(rest, at)
    at += bytesWritten
    rest = withoutFirst(rest, bytesWritten)
  }
}

function withoutFirst(pieces: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let left = count
  let index = 0
  while (index < pieces.length && left >= pieces[index]!.byteLength) {
    left -= pieces[index]!.byteLength
    index++
  }

  const [head, ...tail] = pieces.slice(index)
  return head ? [head.subarray(left), ...tail] : []
}
