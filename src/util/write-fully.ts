import type {FileHandle} from 'node:fs/promises'

import {writeSync} from 'node:fs'

/**
 * Writes all of some bytes: one system call as a rule, more when the system takes less than it is offered.
 * @param position in bytes from the file's begin
 */
export async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const {bytesWritten} = await handle.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}

/** The same by calls that wait. */
export function writeFullyNow(descriptor: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(descriptor, bytes, done, bytes.length - done, position + done)
  }
}
