import type {LayoutFiles} from './files.js'
import type {IndexStore} from './index-store.js'

import {UnsupportedError} from '../../errors.js'

/** What the parts of one open layout share. */
export interface LayoutContext {
  readonly files: LayoutFiles
  readonly index: IndexStore
  readonly isReadOnly: boolean
  readonly location: string
}

/** @throws UnsupportedError when the layout was opened to be read only */
export function assertWritable({isReadOnly, location}: LayoutContext): void {
  if (!isReadOnly) return
  throw new UnsupportedError(`${location}: opened read-only`, {
    suggestions: ['Open it for writing, or work on a copy.'],
  })
}
