import pMap from 'p-map'

import type {Finding} from '../../checker/findings.js'
import type {PlanContext} from './context.js'

import {CONFIG_DESCRIPTOR} from '../../kloset/object-manifest.js'
import {CONFIG_TAG, meaningOf} from '../../kloset/resource.js'
import {type Digest} from '../../registry/digest.js'
import {draft} from './draft.js'
import {diagnose, type Patient} from './heal.js'

/** Objects are read whole and judged: more of them at once only take memory. */
const MAX_AT_ONCE = 4

/** An object that nothing was found for. */
export interface LostObject {
  readonly layer: Digest | undefined
  readonly patient: Patient
  readonly reason: string
}

/** What became of some damaged objects. */
export interface Outcome {
  readonly healed: readonly Patient[]
  readonly lost: readonly LostObject[]
}

/** Plans for damaged objects, locks aside; each is read again, and every copy before it is promised. */
export async function planObjects(findings: readonly Finding[], context: PlanContext): Promise<Outcome> {
  planConfigBlob(findings, context)
  const patients = patientsOf(findings)
  const {book, concurrency, onObject, overlay, repository, signal} = context
  const [healed, lost]: [Patient[], LostObject[]] = [[], []]
  await pMap(
    patients,
    async (patient) => {
      await book.rely(repository, patient.tag, signal)
      const diagnosis = await diagnose(patient, context)
      onObject()
      switch (diagnosis.kind) {
        case 'heal': {
          const {action, copy} = diagnosis
          book.add(draft(patient, action, {sources: book.locations, why: patient.findings}))
          overlay.heal(patient, copy)
          healed.push(patient)
          return
        }

        case 'lost': {
          lost.push({layer: diagnosis.layer, patient, reason: diagnosis.reason})
          return
        }

        case 'sound': {
          book.note(`${patient.tag}: was damaged when it was checked, and is sound now`)
          return
        }

        default: {
          throw new TypeError(`no such diagnosis: ${String(diagnosis satisfies never)}`)
        }
      }
    },
    {concurrency: Math.min(MAX_AT_ONCE, concurrency), ...(signal && {signal})},
  )
  return {healed: sorted(healed), lost: lost.sort((a, b) => (a.patient.tag < b.patient.tag ? -1 : 1))}
}

/** Damaged objects with all that was found about each. */
function patientsOf(findings: readonly Finding[]): Patient[] {
  const patients = new Map<string, Patient & {findings: Finding[]}>()
  for (const finding of findings) {
    const {kind, object, tag} = finding
    if (!object || tag === undefined || object.resource === 'lock' || kind === 'packfile-unknown') continue
    const known = patients.get(tag)
    if (known) known.findings.push(finding)
    else if (meaningOf(tag).kind !== 'foreign') patients.set(tag, {findings: [finding], ...object, tag})
  }

  return [...patients.values()]
}

/** The config blob that all manifests share. */
function planConfigBlob(findings: readonly Finding[], {book}: PlanContext): void {
  for (const finding of findings) {
    const {digest, kind, object, tag} = finding
    if (object || !digest || tag === undefined) continue
    if (kind !== 'config-blob-missing' && kind !== 'digest-mismatch' && kind !== 'size-mismatch') continue
    if (digest === CONFIG_DESCRIPTOR.digest) {
      const force = kind !== 'config-blob-missing'
      const action = {digest, force, kind: 'put-config-blob'} as const
      book.add(draft({resource: 'config', tag: CONFIG_TAG}, action, {sources: [], why: [finding]}))
    } else {
      book.lose({paths: [], reason: `${finding.message}; it is not the one that stores share`, snapshots: [], tag})
    }
  }
}

function sorted(patients: Patient[]): Patient[] {
  return patients.sort((a, b) => (a.tag < b.tag ? -1 : 1))
}
