import type {PlanContext} from './context.js'
import type {LostObject} from './plan-objects.js'

/** Says what stays lost, and what it costs. */
export async function planLosses(lost: readonly LostObject[], {book}: PlanContext): Promise<void> {
  for (const {patient, reason} of lost) {
    book.lose({paths: [], reason: `${reason}; no source has a sound copy`, snapshots: 'unknown', tag: patient.tag})
  }
}
