import {createHash} from 'node:crypto'
import {open} from 'node:fs/promises'

import type {Mac} from '../../kloset/mac.js'

import {InvalidArgumentError, NotFoundError, StoreFormatError, VersionError} from '../../errors.js'
import {isMac} from '../../kloset/mac.js'
import {CONFIG_TAG, meaningOf, RESOURCE_NAMES, type ResourceName} from '../../kloset/resource.js'
import {type Digest, isDigest} from '../../registry/digest.js'
import {errnoOf, fileOperation} from '../../util/fs-error.js'
import {isCount, isObject, isString, isStringArray, type JsonObject} from '../../util/json.js'
import {
  type Colour,
  type LostPath,
  type Origin,
  PLAN_SCHEMA,
  type PlanCoverage,
  PROOFS,
  type RepairAction,
  type RepairPlan,
  type RepairStep,
  SOURCE_KINDS,
  type TagState,
  type Unfixable,
} from './types.js'

/** A plan has about a kilobyte a step: more than this is none. */
const MAX_PLAN_BYTES = 256 * 1024 * 1024
const MAX_ITEMS = 1_000_000

const LEFT_OUT = 'Not looked at: '

/** A plan and what tells it from every other: the SHA-256 of its content. */
export interface SealedPlan {
  readonly id: string
  readonly plan: RepairPlan
}

/** The bytes of a plan file: readable JSON that ends with the SHA-256 of all before, so that a changed one is known. */
export function encodePlan(plan: RepairPlan): Buffer {
  return Buffer.from(`${JSON.stringify({...plan, sha256: idOf(plan)}, undefined, 2)}\n`)
}

export function idOf(plan: RepairPlan): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(plan)))
    .digest('hex')
}

/**
 * Reads a plan file.
 * @throws NotFoundError when there is none
 * @throws StoreFormatError when it is cut short, was changed by hand, or is no plan
 * @throws VersionError when it is of a version that this program does not know
 */
export async function readPlan(path: string): Promise<SealedPlan> {
  return decodePlan(await readFileBounded(path), path)
}

/** @throws StoreFormatError | VersionError */
export function decodePlan(bytes: Uint8Array, what: string): SealedPlan {
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
  } catch (error) {
    throw new StoreFormatError(`${what}: not a plan, or cut short: it is no JSON document`, {cause: error})
  }

  if (!isObject(json)) throw notPlan(what, 'it is no JSON object')
  const {schema, sha256, ...content} = json
  if (schema !== PLAN_SCHEMA) {
    const actual = isString(schema) ? schema.slice(0, 80) : 'none'
    if (actual.startsWith('kloset-oci/repair-plan-file/')) {
      throw new VersionError(`${what}: a plan of a version that this program does not know`, {
        facts: {actual, expected: PLAN_SCHEMA},
      })
    }

    throw notPlan(what, `its schema is ${actual}, expected ${PLAN_SCHEMA}`)
  }

  const actual = createHash('sha256')
    .update(JSON.stringify(sorted({...content, schema})))
    .digest('hex')
  if (sha256 !== actual) {
    throw new StoreFormatError(`${what}: the plan was changed after it was made`, {
      facts: {actual, expected: isString(sha256) ? sha256.slice(0, 80) : 'none'},
      suggestions: ['Make a new one with `repair plan`: a plan is read, not edited.'],
    })
  }

  return {id: actual, plan: new Decoder(what).plan(content)}
}

async function readFileBounded(path: string): Promise<Buffer> {
  return fileOperation('read', path, async () => {
    const file = await open(path).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') throw new NotFoundError(`${path}: no such plan`, {cause: error})
      throw error
    })
    try {
      const {size} = await file.stat()
      if (size > MAX_PLAN_BYTES) throw notPlan(path, `${size} bytes are too many`)
      return await file.readFile()
    } finally {
      await file.close()
    }
  })
}

function notPlan(what: string, why: string): StoreFormatError {
  return new StoreFormatError(`${what}: not a repair plan: ${why}`)
}

/** The same value with the keys of its objects in order, whatever order the file has them in. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => sorted(item))
  if (!isObject(value)) return value
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, sorted(item)]))
}

/** Believes nothing: a plan that came with the right sum may still have been written by anybody. */
class Decoder {
  readonly #what: string

  constructor(what: string) {
    this.#what = what
  }

  plan(json: JsonObject): RepairPlan {
    const {created, notes, relies, sources, states, steps, store, unfixable} = json
    const sourceList = this.#list(sources, 'sources').map((source) => ({
      kind: this.#oneOf(source['kind'], SOURCE_KINDS, 'sources: kind'),
      location: this.#text(source['location'], 'sources: location'),
    }))
    const said = this.#texts(notes, 'notes')
    const plan = {
      ...this.#coverage(json, said),
      created: this.#time(created),
      notes: said,
      relies: this.#relies(relies),
      schema: PLAN_SCHEMA,
      sources: sourceList,
      ...(states !== undefined && {states: this.#text(states, 'states')}),
      steps: this.#list(steps, 'steps').map((step, index) => this.#step(step, index + 1, sourceList.length)),
      store: this.#text(store, 'store'),
      unfixable: this.#list(unfixable, 'unfixable').map((one) => this.#unfixable(one)),
    } as const
    for (const {tag} of plan.steps) if (plan.relies[tag] === undefined) throw this.#wrong(`relies: nothing of ${tag}`)
    if (plan.relies[CONFIG_TAG] === undefined) throw this.#wrong(`relies: nothing of ${CONFIG_TAG}`)
    return plan
  }

  #action(json: JsonObject, sources: number): RepairAction {
    const {coloured, digest, force, from, kind, layer, manifest, packfiles, parent, size, state} = json
    switch (kind) {
      case 'put-blob': {
        const origin = this.#origin(from, sources)
        const target = this.#digest(digest, 'digest')
        if (origin.digest !== target) throw this.#wrong('put-blob: the copy has another digest')
        return {digest: target, force: force === true, from: origin, kind}
      }

      case 'put-config-blob': {
        return {digest: this.#digest(digest, 'digest'), force: force === true, kind}
      }

      case 'put-object': {
        return {force: force === true, from: this.#origin(from, sources), kind}
      }

      case 'rebuild-state': {
        return {
          coloured: this.#list(coloured, 'coloured').map((one) => this.#colour(one)),
          kind,
          packfiles: this.#macs(packfiles, 'packfiles'),
          parent: parent === undefined ? undefined : this.#mac(parent, 'parent'),
        }
      }

      case 'remove-tag': {
        return {kind}
      }

      case 'retag': {
        return {kind, layer: this.#digest(layer, 'layer'), manifest: this.#digest(manifest, 'manifest')}
      }

      case 'rewrite-manifest': {
        if (!isCount(size)) throw this.#wrong('rewrite-manifest: no size')
        return {kind, layer: this.#digest(layer, 'layer'), size}
      }

      case 'salvage-packfile': {
        return {kind, layer: this.#digest(layer, 'layer'), state: this.#mac(state, 'state')}
      }

      default: {
        throw this.#wrong(`no such action: ${String(kind).slice(0, 40)}`)
      }
    }
  }

  #colour({mac, type, when}: JsonObject): Colour {
    if (!isCount(type) || type > 255) throw this.#wrong('coloured: no type')
    const nanos = this.#text(when, 'coloured: when')
    if (!/^-?\d{1,18}$/.test(nanos)) throw this.#wrong('coloured: no time')
    return {mac: this.#mac(mac, 'coloured: mac'), type, when: nanos}
  }

  /** Plans that were written before these were members say it in their notes. */
  #coverage({complete, notChecked, partial}: JsonObject, notes: readonly string[]): PlanCoverage {
    if (complete === undefined && notChecked === undefined && partial === undefined) {
      const left = notes.filter((note) => note.startsWith(LEFT_OUT)).map((note) => note.slice(LEFT_OUT.length, -1))
      const isComplete = !notes.some((note) => note.startsWith('Not seen'))
      const isRead = !left.some((note) => note.includes('what states refer to'))
      return {complete: isComplete, notChecked: left, partial: !isComplete || !isRead}
    }

    if (typeof complete !== 'boolean' || typeof partial !== 'boolean')
      throw this.#wrong('complete or partial is missing')
    return {complete, notChecked: this.#texts(notChecked, 'notChecked'), partial}
  }

  #digest(value: unknown, name: string): Digest {
    if (isString(value) && isDigest(value)) return value
    throw this.#wrong(`${name} is no digest`)
  }

  #list(value: unknown, name: string): readonly JsonObject[] {
    if (Array.isArray(value) && value.length <= MAX_ITEMS && value.every((item) => isObject(item))) return value
    throw this.#wrong(`${name} is no list`)
  }

  #mac(value: unknown, name: string): Mac {
    if (isString(value) && isMac(value)) return value
    throw this.#wrong(`${name} is no MAC`)
  }

  #macs(value: unknown, name: string): readonly Mac[] {
    if (!isStringArray(value) || value.length > MAX_ITEMS) throw this.#wrong(`${name} is no list of MACs`)
    return value.map((one) => this.#mac(one, name))
  }

  #oneOf<T extends string>(value: unknown, known: readonly T[], name: string): T {
    const found = known.find((one) => one === value)
    if (found === undefined) throw this.#wrong(`${name} is none of ${known.join(', ')}`)
    return found
  }

  #origin(value: unknown, sources: number): Origin {
    if (!isObject(value)) throw this.#wrong('from is missing')
    const {digest, proof, size, source} = value
    if (!isCount(size)) throw this.#wrong('from: no size')
    if (!isCount(source) || source >= sources) throw this.#wrong('from: no such source')
    return {digest: this.#digest(digest, 'from'), proof: this.#oneOf(proof, PROOFS, 'proof'), size, source}
  }

  #relies(value: unknown): Readonly<Record<string, TagState>> {
    if (!isObject(value)) throw this.#wrong('relies is missing')
    const relies = Object.entries(value).map(([tag, state]): [string, TagState] => {
      if (meaningOf(tag).kind === 'foreign') throw this.#wrong(`relies: ${tag.slice(0, 80)} is no tag of a store`)
      return [tag, state === 'absent' || state === 'unreadable' ? state : this.#digest(state, `relies: ${tag}`)]
    })
    return Object.fromEntries(relies)
  }

  #step(json: JsonObject, id: number, sources: number): RepairStep {
    const {action, object, reads, replaces, risk, tag, why, writes} = json
    if (json['id'] !== id) throw this.#wrong(`step ${id} has another number`)
    if (!isObject(action) || !isObject(object)) throw this.#wrong(`step ${id}: no action or object`)
    const name = this.#text(tag, `step ${id}: tag`)
    const meaning = meaningOf(name)
    const resource = this.#oneOf<ResourceName>(object['resource'], RESOURCE_NAMES, `step ${id}: resource`)
    const mac = object['mac'] === undefined ? undefined : this.#mac(object['mac'], `step ${id}: mac`)
    const fits =
      meaning.kind === 'config'
        ? resource === 'config' && mac === undefined
        : meaning.kind === 'object' && meaning.resource === resource && meaning.mac === mac
    if (!fits) throw this.#wrong(`step ${id}: ${name.slice(0, 80)} is not the tag of its object`)
    return {
      action: this.#action(action, sources),
      id,
      object: {mac, resource},
      reads: this.#texts(reads, 'reads'),
      replaces: this.#texts(replaces, 'replaces'),
      risk: this.#text(risk, `step ${id}: risk`),
      tag: name,
      why: this.#texts(why, 'why'),
      writes: this.#texts(writes, 'writes'),
    }
  }

  #text(value: unknown, name: string): string {
    if (isString(value) && value.length <= 64 * 1024) return value
    throw this.#wrong(`${name} is no text`)
  }

  #texts(value: unknown, name: string): readonly string[] {
    if (isStringArray(value) && value.length <= MAX_ITEMS) return value
    throw this.#wrong(`${name} is no list of texts`)
  }

  #time(value: unknown): string {
    if (isString(value) && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value) && !Number.isNaN(Date.parse(value))) return value
    throw this.#wrong('created is no time')
  }

  #unfixable(json: JsonObject): Unfixable {
    const {paths, reason, snapshots, tag} = json
    return {
      paths: this.#list(paths, 'paths').map((one): LostPath => ({
        path: this.#text(one['path'], 'paths: path'),
        snapshot: this.#mac(one['snapshot'], 'paths: snapshot'),
      })),
      reason: this.#text(reason, 'unfixable: reason'),
      snapshots: snapshots === 'unknown' ? snapshots : this.#macs(snapshots, 'snapshots'),
      tag: this.#text(tag, 'unfixable: tag'),
    }
  }

  #wrong(why: string): StoreFormatError {
    return notPlan(this.#what, why)
  }
}

/** @throws InvalidArgumentError when a plan is not the one of this store */
export function refuseOtherStore(plan: RepairPlan, location: string): void {
  if (plan.store === location) return
  throw new InvalidArgumentError(`the plan is for ${plan.store}, not for ${location}`)
}
