/** States: the store's record of where blobs lie, which packfiles there are and what is deleted. */
export {decodeState, StateDecoder} from './state/decoder.js'
export {encodeState, STATE_VERSION, type StateToEncode, type WritableEntry} from './state/encoder.js'
export {
  type ColouredEntry,
  type ConfigurationEntry,
  type DeleteEntry,
  LocationEntry,
  type LocationFields,
  type MetadataEntry,
  NIL_MAC,
  type PackfileEntry,
  type StateEntry,
  timestampFromNanos,
  timestampToNanos,
} from './state/entries.js'
export {type LoadedStates, loadStates, type LoadStatesOptions, type UnreadableState} from './state/load-states.js'
export {MacTable} from './state/mac-table.js'
export {orderStates, type StateOrder} from './state/order.js'
export {readStateStream, type StateHead, type StateSource, type StateVisitor} from './state/read-state.js'
export {type KnownPackfile, type KnownState, StateIndex, type StateIndexOptions} from './state/state-index.js'
