import type {SelfSource} from '../sources/self-source.js'
import type {PlanBook} from './book.js'
import type {HealOptions} from './heal.js'
import type {OverlayRepository} from './overlay.js'

/** What planning works with. */
export interface PlanContext extends HealOptions {
  readonly book: PlanBook
  readonly concurrency: number
  readonly now: number
  readonly onObject: () => void
  readonly onSnapshot: (done: number) => void
  readonly overlay: OverlayRepository
  readonly self: SelfSource
}
