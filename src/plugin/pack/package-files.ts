import {chmod, copyFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'

import type {Platform} from './platform.js'

import {fileOperation} from '../../util/fs-error.js'
import {makeFolders} from '../../util/make-folders.js'
import {type Bundle, BUNDLE_NAME, LICENSES_NAME, STARTER_NAME} from './bundle.js'
import {launcherScript} from './launcher.js'
import {MANIFEST_NAME, manifestText} from './manifest.js'
import {writeStandalone} from './standalone.js'

const EXECUTABLE = 'kloset-oci-plugin'

export interface PackageOptions {
  readonly bundle: Bundle
  /** Folder that gets the files; it is made when it is not there, and files of the same names are replaced. */
  readonly dir: string
  readonly name: string
  /** Node's path that the launcher tries besides PATH and the usual places. */
  readonly node?: string | undefined
  /** As plakar wants it: `v1.2.3`. */
  readonly version: string
}

/** What `plakar pkg create` is given. */
export interface PackageFiles {
  readonly executable: string
  readonly extraFiles: readonly string[]
  readonly manifest: string
}

/** Writes the package that runs on the Node of the machine, whatever its platform. */
export async function writeScriptPackage(options: PackageOptions): Promise<PackageFiles> {
  const {bundle, dir} = options
  await fileOperation('write', dir, async () => {
    await makeFolders(dir)
    await copyFile(bundle.script, join(dir, BUNDLE_NAME))
    await copyFile(bundle.starter, join(dir, STARTER_NAME))
    await writeExecutable(join(dir, EXECUTABLE), launcherScript(options.node))
  })
  return finish(options, [BUNDLE_NAME, STARTER_NAME])
}

export interface StandalonePackageOptions extends PackageOptions {
  readonly node: string
  readonly platform: Platform
  readonly signal?: AbortSignal | undefined
}

/** Writes the package whose program has Node inside. */
export async function writeStandalonePackage(options: StandalonePackageOptions): Promise<PackageFiles> {
  const {bundle, dir, node, platform, signal} = options
  await fileOperation('write', dir, async () => makeFolders(dir))
  await writeStandalone({node, platform, script: bundle.script, signal, target: join(dir, EXECUTABLE)})
  return finish(options, [])
}

async function writeExecutable(path: string, contents: string): Promise<void> {
  await writeFile(path, contents)
  await chmod(path, 0o755)
}

async function finish({bundle, dir, name, version}: PackageOptions, files: readonly string[]): Promise<PackageFiles> {
  const extraFiles = [...files, LICENSES_NAME]
  const manifest = join(dir, MANIFEST_NAME)
  await fileOperation('write', dir, async () => {
    await copyFile(bundle.licenses, join(dir, LICENSES_NAME))
    await writeFile(manifest, manifestText({executable: EXECUTABLE, extraFiles, name, version}))
  })
  return {executable: join(dir, EXECUTABLE), extraFiles: extraFiles.map((file) => join(dir, file)), manifest}
}
