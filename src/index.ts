/**
 * The library: a Kloset store in an OCI registry, without the terminal.
 */
export * from './errors.js'
export {EXIT, EXIT_CODES} from './exit-codes.js'
export * from './kloset/configuration.js'
export * from './kloset/create.js'
export * from './kloset/mac.js'
export * from './kloset/resource.js'
export * from './kloset/store.js'
export {type Descriptor} from './registry/descriptor.js'
export {type Digest, digestOf, parseDigest} from './registry/digest.js'
export * from './registry/interfaces.js'
export {bufferSource, type ContentSource, fileSource} from './util/content-source.js'
