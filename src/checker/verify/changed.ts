import type {Mac} from '../../kloset/mac.js'
import type {Finding} from '../findings.js'

import {finding} from '../failures.js'

/** An object that came, went or was written anew while the store was read. */
export function changed({object, tag}: Pick<Finding, 'object' | 'tag'>, how: string): Finding {
  return finding('changed-while-reading', `${tag}: ${how}`, {object, tag})
}

/** The packfile that a finding is about. */
export function packfileOf({object}: Finding): Mac | undefined {
  return object?.resource === 'packfile' ? object.mac : undefined
}
