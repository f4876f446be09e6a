import {access} from 'node:fs/promises'
import {fileURLToPath} from 'node:url'

import {NotFoundError} from '../../errors.js'

/** What a build leaves beside the compiled plugin. */
export interface Bundle {
  /** Licence texts of everything inside. */
  readonly licenses: string
  /** The plugin as one file that Node runs. */
  readonly script: string
  /** What starts such a file faster than Node alone. */
  readonly starter: string
}

export const BUNDLE_NAME = 'kloset-oci-plugin.cjs'
export const LICENSES_NAME = 'kloset-oci-plugin.LICENSES.txt'
export const STARTER_NAME = 'start.cjs'

/** @throws NotFoundError when this installation was not built with it */
export async function findBundle(): Promise<Bundle> {
  const bundle = {
    licenses: find(`../${LICENSES_NAME}`),
    script: find(`../${BUNDLE_NAME}`),
    starter: find(`../../../bin/${STARTER_NAME}`),
  }
  for (const path of Object.values(bundle)) {
    try {
      await access(path)
    } catch (error) {
      throw new NotFoundError(`${path}: the plugin's bundle is not there`, {
        cause: error,
        suggestions: ['In a checkout: npm run build'],
      })
    }
  }

  return bundle
}

function find(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url))
}
