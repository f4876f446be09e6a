import {isObject, type JsonObject} from '../util/json.js'

/** The annotation of a manifest that a tag is pointed at for a moment, so that it can be deleted alone. */
export const STAND_IN_NOTE = 'dev.kloset-oci.stand-in'

/** Whether a manifest is one of these, left behind by a run that was cut off: its tag was about to be removed. */
export function isStandIn(json: JsonObject): boolean {
  const {annotations} = json
  return isObject(annotations) && STAND_IN_NOTE in annotations
}
