/** The name that plakar insists on. */
export const MANIFEST_NAME = 'manifest.yaml'

export interface ManifestOptions {
  /** File names beside the manifest. */
  readonly executable: string
  readonly extraFiles: readonly string[]
  /** Letters, digits and hyphens: it becomes the first part of the package's file name. */
  readonly name: string
  readonly version: string
}

/** The text of `manifest.yaml`, as `plakar pkg create` reads it. Strings are in quotes: nothing in them is YAML. */
export function manifestText({executable, extraFiles, name, version}: ManifestOptions): string {
  return [
    `name: ${text(name)}`,
    `display_name: ${text('OCI registry (kloset-oci)')}`,
    `description: ${text('Kloset stores in any OCI registry, with logins, TLS, proxies and caching')}`,
    `version: ${text(version)}`,
    `license: ${text('ISC')}`,
    `tags: [${['storage', 'oci', 'registry'].map((tag) => text(tag)).join(', ')}]`,
    'connectors:',
    '  - type: storage',
    `    executable: ${text(executable)}`,
    `    license: ${text('ISC')}`,
    '    protocols: [oci]',
    `    extra_files: [${extraFiles.map((file) => text(file)).join(', ')}]`,
    '',
  ].join('\n')
}

function text(value: string): string {
  return JSON.stringify(value)
}
