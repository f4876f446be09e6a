import fs from 'node:fs/promises'

import {errnoOf} from '../../util/fs-error.js'

/** Systems where a folder cannot be opened or flushed: a rename is as safe there as it gets. */
const NO_FOLDER_SYNC = new Set(['EBADF', 'EINVAL', 'EISDIR', 'ENOTSUP', 'EPERM'])

interface Turn {
  next: Promise<void> | undefined
  running: Promise<void>
}

/**
 * Flushes folders, one fsync for all who ask while another runs: whoever comes during a run may have changed the
 * folder after it began, and so waits for the next run, together with all others who came meanwhile.
 */
export class GroupSync {
  readonly #turns = new Map<string, Turn>()

  async sync(dir: string): Promise<void> {
    const turn = this.#turns.get(dir)
    if (!turn) {
      await this.#start(dir)
      return
    }

    turn.next ??= turn.running.catch(() => {}).then(() => this.#start(dir))
    await turn.next
  }

  async #start(dir: string): Promise<void> {
    const turn: Turn = {next: undefined, running: flushFolder(dir)}
    this.#turns.set(dir, turn)
    try {
      await turn.running
    } finally {
      if (turn.next === undefined && this.#turns.get(dir) === turn) this.#turns.delete(dir)
    }
  }
}

async function flushFolder(dir: string): Promise<void> {
  let handle: fs.FileHandle | undefined
  try {
    handle = await fs.open(dir, 'r')
    await handle.sync()
  } catch (error) {
    if (!NO_FOLDER_SYNC.has(errnoOf(error) ?? '')) throw error
  } finally {
    await handle?.close()
  }
}
