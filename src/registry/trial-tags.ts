import {isObject, isString} from '../util/json.js'
import {parseManifestJson, type RawManifest} from './manifest.js'

/** What tries out or measures a registry, with tags of its own: `bench`, `doctor`, and the trial of a tag's deletion. */
export type Trial = 'bench' | 'deletion' | 'doctor'

const PREFIXES: Readonly<Record<Trial, string>> = {
  bench: 'kloset-oci-bench-',
  deletion: 'kloset-oci-probe-',
  doctor: 'kloset-oci-doctor-',
}

/** The annotation of a trial's manifests: when it was written, RFC 3339. */
const TRIAL_NOTE = 'dev.kloset-oci.trial'

/** @param id hexadecimal digits, 16 to 24 of them */
export function trialTag(trial: Trial, id: string): string {
  return PREFIXES[trial] + id
}

/** The trial that a tag is made by; undefined for every other tag. */
export function trialOf(tag: string): Trial | undefined {
  for (const [trial, prefix] of Object.entries(PREFIXES) as [Trial, string][])
    if (tag.startsWith(prefix) && /^[\da-f]{16,24}$/.test(tag.slice(prefix.length))) return trial
  return undefined
}

/** The annotation with which a trial's manifest says what it is and when it was written. */
export function trialNote(milliseconds: number): Readonly<Record<string, string>> {
  return {[TRIAL_NOTE]: new Date(milliseconds).toISOString()}
}

/** The same manifest, as a trial's. */
export function noteTrial({bytes, mediaType}: RawManifest, milliseconds: number): RawManifest {
  const json = parseManifestJson(bytes, 'manifest')
  const annotations = isObject(json['annotations']) ? json['annotations'] : {}
  const noted = {...json, annotations: {...annotations, ...trialNote(milliseconds)}}
  return {bytes: Buffer.from(JSON.stringify(noted)), mediaType}
}

/** When a trial wrote a manifest, in milliseconds since the epoch; undefined when none did. */
export function trialTimeOf(bytes: Uint8Array): number | undefined {
  const {annotations} = parseManifestJson(bytes, 'manifest')
  const note = isObject(annotations) ? annotations[TRIAL_NOTE] : undefined
  const time = isString(note) ? Date.parse(note) : Number.NaN
  return Number.isNaN(time) ? undefined : time
}
