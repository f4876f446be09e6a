import type {Spooled} from '../../util/spool.js'
import type {Origin, RepairStep} from '../plan/types.js'
import type {ApplyContext} from './context.js'

import {hasCode, isNotFound, messageOf, NotFoundError} from '../../errors.js'
import {spool} from '../../util/spool.js'
import {judgeObject} from '../proof.js'

/**
 * The bytes of a copy, kept here and judged once more: digest, envelope, and MAC where the key is known. The source may
 * have changed since the plan was made.
 * @throws NotFoundError when the source has no sound copy any more
 */
export async function fetchCopy(step: RepairStep, origin: Origin, context: ApplyContext): Promise<Spooled> {
  const {keys, signal, sources} = context
  const source = sources[origin.source]
  if (!source) throw new NotFoundError(`step ${step.id}: its source is not open`)
  const wanted = {...step.object, digest: origin.digest, tag: step.tag}
  let why = 'has it no more'
  for await (const copy of source.copies(wanted, {signal})) {
    if (copy.digest !== undefined && copy.digest !== origin.digest) continue
    if (copy.size >= 0 && copy.size !== origin.size) continue
    try {
      const spooled = await spool(await copy.open({signal}), {signal})
      if (`sha256:${spooled.sha256}` === origin.digest) {
        const {problem} = await judgeObject(wanted, spooled.open() as AsyncIterable<unknown>, {
          keys,
          size: spooled.size,
        })
        if (problem === undefined) return spooled
        why = `has a damaged copy: ${problem}`
      }

      await spooled.dispose()
    } catch (error) {
      if (!isNotFound(error) && !hasCode(error, 'INTEGRITY')) throw error
      why = `has a damaged copy: ${messageOf(error)}`
    }
  }

  throw new NotFoundError(`${source.location}: ${why}: ${step.tag} (${origin.digest})`, {
    facts: {digest: origin.digest, tag: step.tag},
    suggestions: ['Make a new plan: the source has changed since this one was made.'],
  })
}
