import {stat} from 'node:fs/promises'
import {resolve} from 'node:path'

import {InvalidArgumentError} from '../../errors.js'
import {findBundle} from './bundle.js'
import {type PackageFiles, writeScriptPackage, writeStandalonePackage} from './package-files.js'
import {createPlakarPackage, findPlakar} from './plakar.js'
import {parsePlatform, type Platform, platformName, thisPlatform} from './platform.js'
import {canSign} from './standalone.js'

export interface PackOptions {
  readonly dir: string
  readonly env: NodeJS.ProcessEnv
  readonly name: string
  /** Node that a standalone program has inside; default the one that runs this. */
  readonly node?: string | undefined
  /** plakar's path; default the first on PATH, or none. */
  readonly plakar?: string | undefined
  /** `OS/ARCH`; default this machine's. */
  readonly platform?: string | undefined
  readonly signal?: AbortSignal | undefined
  readonly standalone: boolean
  /** `v1.2.3` */
  readonly version: string
}

export interface Packed {
  readonly directory: string
  readonly executable: string
  readonly extraFiles: readonly string[]
  readonly files: readonly {readonly bytes: number; readonly path: string}[]
  readonly form: 'script' | 'standalone'
  readonly manifest: string
  readonly name: string
  readonly package?: string
  readonly plakar?: string
  readonly platform: string
  /** Of a program for macOS: whether it is signed, ad hoc. Only a Mac can. */
  readonly signed?: boolean
  readonly version: string
}

/**
 * Writes the plugin's files into a folder, and makes plakar's package of them when plakar is there.
 * @throws InvalidArgumentError | NotFoundError before anything is written
 */
export async function packPlugin(options: PackOptions): Promise<Packed> {
  const {dir, env, name, signal, standalone, version} = options
  if (!/^[\dA-Za-z-]{1,60}$/.test(name)) {
    throw new InvalidArgumentError(`name "${name.slice(0, 60)}": plakar takes letters, digits and hyphens`)
  }

  const platform = options.platform === undefined ? thisPlatform() : parsePlatform(options.platform)
  const plakar = await findPlakar(env, options.plakar)
  const bundle = await findBundle()
  const common = {bundle, dir: resolve(dir), name, version}
  const written: PackageFiles = standalone
    ? await writeStandalonePackage({...common, node: nodeFor(platform, options.node), platform, signal})
    : await writeScriptPackage({...common, node: isThis(platform) ? process.execPath : undefined})
  const made = plakar
    ? await createPlakarPackage({
        manifest: written.manifest,
        name,
        outDir: common.dir,
        plakar,
        platform,
        signal,
        version,
      })
    : undefined
  const paths = [written.manifest, written.executable, ...written.extraFiles, ...(made === undefined ? [] : [made])]
  return {
    directory: common.dir,
    ...written,
    files: await Promise.all(paths.map(async (path) => ({bytes: (await stat(path)).size, path}))),
    form: standalone ? 'standalone' : 'script',
    name,
    ...(made !== undefined && {package: made}),
    ...(plakar !== undefined && {plakar}),
    platform: platformName(platform),
    ...(standalone && platform.os === 'darwin' && {signed: canSign(platform)}),
    version,
  }
}

function isThis(platform: Platform): boolean {
  try {
    return platformName(platform) === platformName(thisPlatform())
  } catch {
    return false
  }
}

function nodeFor(platform: Platform, node: string | undefined): string {
  if (node !== undefined) return resolve(node)
  if (isThis(platform)) return process.execPath
  throw new InvalidArgumentError(`a standalone program for ${platformName(platform)} needs the node of that platform`, {
    suggestions: [`Unpack Node ${process.version} for ${platformName(platform)} and name its bin/node with --node`],
  })
}
