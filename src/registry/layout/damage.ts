import {type Facts, KlosetOciError} from '../../errors.js'

const MARKER = '{"imageLayoutVersion":"1.0.0"}'
const EMPTY_INDEX = '{"schemaVersion":2,"manifests":[]}'

interface Damage {
  readonly cause?: unknown
  readonly facts?: Facts
}

/** `index.json` is damaged or gone. It alone says which tags there are: nothing else in the folder does. */
export function damagedIndex(path: string, message: string, {cause, facts}: Damage = {}): KlosetOciError {
  return new KlosetOciError('DAMAGE', message, {
    cause,
    facts: {...facts, path},
    suggestions: [
      'Put that file back from a copy of the folder, if nothing was written since. What lies under blobs is not lost by this; let nothing clean up there meanwhile.',
      `Or, with a mirror of the store: keep the file under another name, write ${EMPTY_INDEX} in its place, and run \`copy MIRROR\` onto the folder: it brings tags and content back.`,
    ],
  })
}

/** The marker `oci-layout` is damaged. It holds nothing but the format's version, and can be written again by hand. */
export function damagedMarker(path: string, what: string, {cause}: Damage = {}): KlosetOciError {
  return new KlosetOciError('DAMAGE', `${path}: ${what}`, {
    cause,
    facts: {path},
    suggestions: [
      `Write ${MARKER} into that file: it holds nothing else.`,
      'Then look for other damage (`gc-check --deep`): what broke this file may have broken more.',
    ],
  })
}

/** `index.json` is there and the marker is not: it was lost, or a creation did not come to its end. */
export const MARKER_IS_MISSING = `index.json is there, and the file oci-layout is not: if this was a store, write ${MARKER} into a file of that name, then run \`gc-check\`.`
