import type {CheckContext, Subject} from './context.js'
import type {Finding} from './findings.js'
import type {StateBook} from './state-book.js'

import {isNotFound} from '../errors.js'
import {tagOf} from '../kloset/resource.js'
import {detailsOf} from './context.js'
import {finding} from './failures.js'

type LookContext = Pick<CheckContext, 'failures' | 'repository' | 'signal'>

export interface MissingContext extends LookContext {
  readonly book: StateBook
  readonly list: {
    /** Whether nothing is left of an object but its tag: its removal was cut off. */
    isEmptied(tag: string): boolean
    /** Whether a tag was in the list, with an object under it. */
    isListed(tag: string): boolean
  }
}

/** Packfiles that states need and that have no tag. `list-incomplete` when they are there all the same. */
export async function* missingPackfiles(context: MissingContext): AsyncGenerator<Finding> {
  for (const mac of context.book.expected()) {
    const tag = tagOf('packfile', mac)
    if (context.list.isListed(tag)) continue
    const subject: Subject = {mac, resource: 'packfile', tag}
    if (context.list.isEmptied(tag)) {
      const message = `${tag}: a state needs it, and a removal that was cut off has left its tag alone`
      yield finding('tag-missing', message, detailsOf(subject))
      continue
    }

    const found = await lookForUnlisted(subject, context)
    if (found === 'missing') {
      yield finding('tag-missing', `${tag}: a state needs it and it has no tag`, detailsOf(subject))
    } else if (found !== 'appeared') yield found
  }
}

/**
 * Asks for an object that was not in the tag list.
 * @returns `appeared` when the list has it by now; a finding when the list is short, or when nobody can tell
 */
export async function lookForUnlisted(
  subject: Subject,
  {failures, repository, signal}: LookContext,
): Promise<'appeared' | 'missing' | Finding> {
  const {tag} = subject
  try {
    await repository.manifests.resolve(tag, {signal})
    failures.succeeded()
  } catch (error) {
    return isNotFound(error) ? 'missing' : failures.failed(error, tag, detailsOf(subject))
  }

  for await (const listed of repository.tags({signal})) if (listed === tag) return 'appeared'
  return finding('list-incomplete', `${tag}: is there and is not in the tag list`, detailsOf(subject))
}
