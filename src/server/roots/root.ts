import type {Digest} from '../../registry/digest.js'
import type {OwnedRepository} from '../../registry/local/owned-repository.js'

/** Where the repositories of a server are. Names are checked against the grammar before they come here. */
export interface Root {
  close(): Promise<void>
  /** Opens a repository and makes it when there is none. @throws HttpFault when that cannot be */
  create(name: string): Promise<OwnedRepository>
  /** Makes a blob of one repository appear in another. @returns false when the first has no such blob */
  mount(digest: Digest, from: string, to: string): Promise<boolean>
  /** Names of all repositories, in order. */
  names(): Promise<readonly string[]>
  open(name: string): Promise<OwnedRepository | undefined>
}
