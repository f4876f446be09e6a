import {InvalidArgumentError} from '../../errors.js'

/** A platform in the words of Go, which plakar uses in the names of packages. */
export interface Platform {
  readonly arch: 'amd64' | 'arm64'
  readonly os: 'darwin' | 'linux'
}

const ARCHES: ReadonlyMap<string, Platform['arch']> = new Map([
  ['aarch64', 'arm64'],
  ['amd64', 'amd64'],
  ['arm64', 'arm64'],
  ['x64', 'amd64'],
  ['x86_64', 'amd64'],
])

const SYSTEMS: ReadonlyMap<string, Platform['os']> = new Map([
  ['darwin', 'darwin'],
  ['linux', 'linux'],
  ['macos', 'darwin'],
])

/** The platform of this machine. @throws InvalidArgumentError on one that plakar's plugins are not made for */
export function thisPlatform(): Platform {
  return parsePlatform(`${process.platform}/${process.arch}`)
}

/** Reads `OS/ARCH`, in Go's words or Node's. @throws InvalidArgumentError */
export function parsePlatform(text: string): Platform {
  const [system = '', cpu = '', more] = text.toLowerCase().split('/')
  const os = SYSTEMS.get(system)
  const arch = ARCHES.get(cpu)
  if (os && arch && more === undefined) return {arch, os}
  throw new InvalidArgumentError(
    `platform "${text.slice(0, 60)}": a plugin is made for linux or darwin, on amd64 or arm64`,
    {suggestions: ['Write it like linux/amd64']},
  )
}

export function platformName({arch, os}: Platform): string {
  return `${os}/${arch}`
}
