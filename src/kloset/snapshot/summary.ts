import {type Field, float, nested, struct} from './struct.js'

/**
 * What a folder holds, counted: itself, or everything below it. Fields that are not there are 0; those above 2^53 are
 * rounded.
 * @see kloset snapshot/vfs/summary.go
 */
export interface Counts {
  readonly averageEntropy: number
  readonly averageSize: number
  readonly children: number
  readonly chunks: number
  readonly devices: number
  readonly directories: number
  readonly errors: number
  readonly files: number
  readonly highEntropy: number
  readonly lowEntropy: number
  readonly maxEntropy: number
  /** Seconds since the epoch. */
  readonly maxModTime: number
  readonly maxSize: number
  readonly mimeApplication: number
  readonly mimeAudio: number
  readonly mimeImage: number
  readonly mimeOther: number
  readonly mimeText: number
  readonly mimeVideo: number
  readonly minEntropy: number
  readonly minModTime: number
  readonly minSize: number
  readonly objects: number
  readonly pipes: number
  readonly setgid: number
  readonly setuid: number
  /** Bytes. */
  readonly size: number
  readonly sockets: number
  readonly sticky: number
  readonly sumEntropy: number
  readonly symlinks: number
}

export interface Summary {
  readonly below: Counts
  readonly directory: Counts
}

const FIELDS: {readonly [Key in keyof Counts]: Field<number>} = {
  averageEntropy: float('avg_entropy'),
  averageSize: float('avg_size'),
  children: float('children'),
  chunks: float('chunks'),
  devices: float('devices'),
  directories: float('directories'),
  errors: float('errors'),
  files: float('files'),
  highEntropy: float('hi_entropy'),
  lowEntropy: float('lo_entropy'),
  maxEntropy: float('max_entropy'),
  maxModTime: float('max_mod_time'),
  maxSize: float('max_size'),
  mimeApplication: float('MIME_application'),
  mimeAudio: float('MIME_audio'),
  mimeImage: float('MIME_image'),
  mimeOther: float('MIME_other'),
  mimeText: float('MIME_text'),
  mimeVideo: float('MIME_video'),
  minEntropy: float('min_entropy'),
  minModTime: float('min_mod_time'),
  minSize: float('min_size'),
  objects: float('objects'),
  pipes: float('pipes'),
  setgid: float('setgid'),
  setuid: float('setuid'),
  size: float('size'),
  sockets: float('sockets'),
  sticky: float('sticky'),
  sumEntropy: float('sum_entropy'),
  symlinks: float('symlinks'),
}

const NOTHING = Object.fromEntries(Object.keys(FIELDS).map((field) => [field, 0])) as unknown as Counts

export const EMPTY_SUMMARY: Summary = {below: NOTHING, directory: NOTHING}

const readCounts = struct<Counts>(FIELDS)

/** Reads a summary where one comes: in a header, an entry, or a blob of its own. */
export const readSummary = struct<Summary>({
  below: nested('below', readCounts, NOTHING),
  directory: nested('directory', readCounts, NOTHING),
})
