import type {RepairStep, TagState} from '../plan/types.js'
import type {ApplyContext} from './context.js'

import {isNotFound} from '../../errors.js'
import {tagStateOf} from '../tag-state.js'

/** Removes a step's tag; the journal learns first that it may be gone. */
export async function removeTag({id, tag}: RepairStep, context: ApplyContext): Promise<TagState> {
  const {journal, repository, signal} = context
  await journal.add({after: ['absent'], event: 'writing', step: id, tag})
  try {
    await repository.manifests.untag(tag, {signal})
  } catch (error) {
    if (!isNotFound(error)) throw error
  }

  return tagStateOf(repository, tag, {signal})
}
