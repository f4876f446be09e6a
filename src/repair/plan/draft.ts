import type {Finding} from '../../checker/findings.js'
import type {ObjectName} from '../proof.js'
import type {Origin, RepairAction, RepairStep} from './types.js'

/** A step before it has its number. */
export type StepDraft = Omit<RepairStep, 'id'> & {
  /** Lower goes first: looking before writing, writing before deleting, the least destructive first. */
  readonly order: number
}

interface Wording {
  readonly order: number
  readonly reads: readonly string[]
  readonly replaces: readonly string[]
  readonly risk: string
  readonly writes: readonly string[]
}

const PROOFS: Readonly<Record<Origin['proof'], string>> = {
  digest: 'checked by the digest that the manifest names',
  mac: "checked by the store's own key",
  'same-store': 'not checked by its MAC: its source is a copy of this store by its CONFIG',
}

/** A step, in words that follow from what it does. */
export function draft(
  {mac, resource, tag}: ObjectName,
  action: RepairAction,
  {sources, why}: {readonly sources: readonly string[]; readonly why: readonly Pick<Finding, 'message'>[]},
): StepDraft {
  const {order, ...words} = wordingOf(action, tag, sources)
  const first = resource === 'config' && action.kind !== 'put-config-blob'
  return {
    action,
    object: mac === undefined ? {resource} : {mac, resource},
    order: first ? 5 : order,
    tag,
    why: why.map(({message}) => message),
    ...words,
  }
}

function wordingOf(action: RepairAction, tag: string, sources: readonly string[]): Wording {
  switch (action.kind) {
    case 'put-blob': {
      return {
        order: action.force ? 55 : 20,
        reads: [from(action.from, sources)],
        replaces: action.force ? [`the damaged bytes under ${action.digest}`] : [],
        risk: action.force
          ? 'low: the bytes that are there are damaged, and are kept in the quarantine'
          : 'none: something that is missing is added, and nothing is replaced',
        writes: [`blob ${action.digest} (${action.from.size} bytes)`],
      }
    }

    case 'put-config-blob': {
      return {
        order: 10,
        reads: [],
        replaces: [],
        risk: 'none: the two bytes that all manifests share are added',
        writes: [`blob ${action.digest} (2 bytes)`],
      }
    }

    case 'put-object': {
      return {
        order: 50,
        reads: [from(action.from, sources)],
        replaces: [`what ${tag} leads to now, if anything`],
        risk: 'low: the object is written as its source has it; what was there is kept in the quarantine',
        writes: [`blob ${action.from.digest} (${action.from.size} bytes)`, `a manifest under ${tag}`],
      }
    }

    case 'rebuild-state': {
      return {
        order: 60,
        reads: action.packfiles.map((mac) => `the index of packfile ${mac}`),
        replaces: [`what ${tag} leads to now, if anything`],
        risk:
          action.coloured.length > 0
            ? `medium: where blobs lie is told again; ${action.coloured.length} deletions are taken from plakar's cache, which bears no MAC`
            : 'medium: where blobs lie is told again, what had been deleted is not: snapshots that the lost state had deleted come back',
        writes: [`a new state under ${tag}, made of ${action.packfiles.length} packfile indexes`],
      }
    }

    case 'remove-tag': {
      return {
        order: 90,
        reads: [],
        replaces: [`${tag}, its manifest and its bytes as far as they can be read`],
        risk: 'the tag goes; what it led to is kept in the quarantine and can be put back with `repair undo`',
        writes: [],
      }
    }

    case 'retag': {
      return {
        order: 30,
        reads: [`manifest ${action.manifest} of the store itself`],
        replaces: [`what ${tag} leads to now, if anything`],
        risk: 'low: a tag is pointed at what it named; what it led to is kept in the quarantine',
        writes: [`tag ${tag} to manifest ${action.manifest}`],
      }
    }

    case 'rewrite-manifest': {
      return {
        order: 40,
        reads: [`blob ${action.layer} of the store itself`],
        replaces: [`the manifest of ${tag}`],
        risk: 'low: the bytes of the object stay as they are; the old manifest is kept in the quarantine',
        writes: [`a manifest under ${tag}, for ${action.layer} of ${action.size} bytes`],
      }
    }

    case 'salvage-packfile': {
      return {
        order: 70,
        reads: [`every blob of ${tag} that can still be read`],
        replaces: [`${tag}, its manifest and its bytes`],
        risk: 'medium: what is damaged in it stays lost, and the rest moves into a new packfile; the damaged one is kept in the quarantine',
        writes: ['a new packfile', `a new state ${action.state}`],
      }
    }

    default: {
      throw new TypeError(`no such action: ${String(action satisfies never)}`)
    }
  }
}

function from({digest, proof, source}: Origin, sources: readonly string[]): string {
  return `${digest} in ${sources[source] ?? 'an unknown source'} (${PROOFS[proof]})`
}
