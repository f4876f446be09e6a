/** What may be done in a repository; `catalog` is the list of all of them. */
export type Action = 'delete' | 'pull' | 'push'

/** Somebody whose rights are known. */
export interface Principal {
  can(action: Action, name: string): boolean
  readonly canList: boolean
}

/** May do everything. */
export const everyone: Principal = {can: () => true, canList: true}

/** May read everything. */
export const reader: Principal = {can: (action) => action === 'pull', canList: true}

/** May do nothing. */
export const nobody: Principal = {can: () => false, canList: false}
