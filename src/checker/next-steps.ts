import type {FindingKind} from './findings.js'

/** What to do about a kind of finding. Lower `order` goes first: looking before writing, writing before deleting. */
interface Step {
  /** For a store in a folder, where it is not the same. `false`: there it makes no sense. */
  readonly folder?: false | string
  readonly order: number
  readonly text: string
}

/** What a step depends on. */
export interface StepOptions {
  /** Everything was read already. */
  readonly deep?: boolean
  /** The store lies in a folder, not in a registry. */
  readonly isFolder: boolean
}

const RETRY: Step = {
  folder:
    'Some of the store could not be looked at: check the owner and mode of the folder and the disk that it is on (the system log tells more), then run gc-check again. Believe nothing about what was not seen.',
  order: 10,
  text: 'Some of the store could not be looked at: check the connection, the credentials and the registry, then run gc-check again. Believe nothing about what was not seen.',
}
const STOP_GC: Step = {
  folder:
    'Data is missing: stop what cleans up, synchronises or expires files in the folder, and let no backup or maintenance run until this is understood.',
  order: 20,
  text: "Data is missing: stop the registry's garbage collection and its retention rules, and let no backup or maintenance run until this is understood.",
}
const RESTART: Step = {
  folder: false,
  order: 25,
  text: 'Restart the registry, or flush its blob cache, and run gc-check again: some registries go on saying that a blob is there, or gone, after it changed.',
}
const LOOK_ELSEWHERE: Step = {
  folder:
    'Look for the missing bytes by their digest: in a mirror, in a synchronised store, in copies and snapshots of the folder.',
  order: 30,
  text: "Look for the missing bytes by their digest: in a mirror, in a synchronised store, in local copies, in the registry's own backup or trash.",
}
const DEEP: Step = {
  order: 40,
  text: 'Run gc-check with --deep, to know which other objects are damaged before anything is written.',
}
const REPAIR: Step = {
  order: 50,
  text: 'Plan the repair from what was found (`repair plan`), read the plan, keep the damaged bytes, then apply it.',
}
const RETAG: Step = {
  order: 45,
  text: 'Manifests of lost tags are still there: `repair plan` puts back what a state needs; of an encrypted store it takes the passphrase to tell.',
}
const CONFIG: Step = {
  order: 35,
  text: 'Put CONFIG back from a copy of the store, or from a synchronised one made of it; never run `create` here.',
}
const AGAIN: Step = {
  order: 15,
  text: 'Verify the objects that were found damaged earlier (`verify --from-file` takes their tags), in the same tier, with the same ledger.',
}
const UPDATE: Step = {order: 60, text: 'Update kloset-oci: part of the store is of a version that it does not know.'}
const SHARED: Step = {
  order: 70,
  text: 'Do not delete tags that share a manifest with the official plugin or by digest: both would go. `rm` takes one tag only.',
}
const LOCKS: Step = {
  order: 80,
  text: 'Look at the stale locks (`locks ls`), make sure that their hosts do nothing, then remove them (`locks rm`).',
}
const SIZES: Step = {
  order: 75,
  text: 'Let `repair plan` write the sizes that manifests lack, before copying the store with other tools.',
}

const REMOVALS: Step = {
  order: 72,
  text: 'Removals were cut off: run again what removed them, or let `repair plan` finish them; what the store still needs it keeps.',
}

const BRING: Step = {
  order: 48,
  text: 'Bring back what is gone from a copy that has it: `copy MIRROR STORE` adds what the store has not.',
}
const ACCEPT: Step = {
  order: 78,
  text: 'When what is gone was meant to go, say so once: `verify --resume LEDGER --accept-gone`.',
}

const TRIALS: Step = {
  order: 90,
  text: 'Run `doctor` on the repository later: it removes what a trial has left, an hour after (a day, of a `bench`).',
}

const MOVE: Step = {
  order: 76,
  text: 'Begin a new store for new backups, and take over the snapshots that are still needed (`plakar sync`), before plakar cannot list this one.',
}

const STEPS: Partial<Record<FindingKind, readonly Step[]>> = {
  'blob-corrupt': [LOOK_ELSEWHERE, REPAIR],
  'blob-missing': [STOP_GC, RESTART, LOOK_ELSEWHERE, DEEP, REPAIR],
  'config-blob-missing': [STOP_GC, REPAIR],
  'config-missing': [CONFIG],
  'config-unreadable': [CONFIG],
  'digest-mismatch': [LOOK_ELSEWHERE, REPAIR],
  'envelope-invalid': [LOOK_ELSEWHERE, REPAIR],
  'list-incomplete': [RETRY],
  'list-limit': [MOVE],
  'location-invalid': [LOOK_ELSEWHERE, REPAIR],
  'lock-stale': [LOCKS],
  'mac-mismatch': [LOOK_ELSEWHERE, REPAIR],
  'manifest-corrupt': [STOP_GC, LOOK_ELSEWHERE, REPAIR],
  'manifest-malformed': [LOOK_ELSEWHERE, REPAIR],
  'manifest-missing': [STOP_GC, RESTART, LOOK_ELSEWHERE, REPAIR],
  'name-mismatch': [LOOK_ELSEWHERE, REPAIR],
  'object-gone': [STOP_GC, BRING, ACCEPT],
  'packfile-unreadable': [DEEP, LOOK_ELSEWHERE, REPAIR],
  'reference-missing': [STOP_GC, LOOK_ELSEWHERE, REPAIR],
  'removal-cut-off': [REMOVALS],
  'shared-digest': [SHARED],
  'size-mismatch': [DEEP, LOOK_ELSEWHERE, REPAIR],
  'size-unstated': [SIZES],
  'snapshot-unreadable': [UPDATE, LOOK_ELSEWHERE],
  'standing-damage': [AGAIN, LOOK_ELSEWHERE, REPAIR],
  'state-unreadable': [LOOK_ELSEWHERE, REPAIR],
  'tag-missing': [STOP_GC, LOOK_ELSEWHERE, REPAIR],
  'trial-tags': [TRIALS],
  'type-mismatch': [LOOK_ELSEWHERE, REPAIR],
  'unknown-version': [UPDATE],
  unreachable: [RETRY],
  'untagged-object': [RETAG],
}

/** What a finding of this kind asks for first. */
export function firstStep(kind: FindingKind, options: StepOptions): string | undefined {
  return (STEPS[kind] ?? []).map((step) => wordsOf(step, options)).find((text) => text !== undefined)
}

/** Everything to do about these kinds, each once, the least destructive first. */
export function nextSteps(kinds: Iterable<FindingKind>, options: StepOptions): string[] {
  const steps = new Set([...kinds].flatMap((kind) => STEPS[kind] ?? []))
  if (options.deep) steps.delete(DEEP)
  return [...steps]
    .sort((a, b) => a.order - b.order)
    .map((step) => wordsOf(step, options))
    .filter((text) => text !== undefined)
}

function wordsOf({folder, text}: Step, {isFolder}: StepOptions): string | undefined {
  if (!isFolder) return text
  return folder === false ? undefined : (folder ?? text)
}
