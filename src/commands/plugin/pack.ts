import {Flags} from '@oclif/core'

import {BaseCommand, outputFlags} from '../../base-command/base-command.js'
import {describe} from '../../cli/describe.js'
import {humanSize, shellCommand} from '../../cli/format.js'
import {EXIT} from '../../exit-codes.js'

export interface PluginPackResult {
  readonly directory: string
  readonly executable: string
  readonly extraFiles: readonly string[]
  /** Needs Node on the machine, or has it inside. */
  readonly form: 'script' | 'standalone'
  readonly manifest: string
  readonly name: string
  /** The package that `plakar pkg add` takes; absent when plakar was not there to make it. */
  readonly package?: string
  readonly plakar?: string
  readonly platform: string
  /** Of a program for macOS: whether it is signed. */
  readonly signed?: boolean
  readonly version: string
}

export default class PluginPack extends BaseCommand {
  static override baseFlags = outputFlags

  static override description = describe(
    `Makes the package that plakar installs for oci:// stores. The files are written into a folder as \`plakar pkg create\` takes
them: manifest.yaml, an executable and what it needs. Then that is run, when plakar is there, and leaves NAME_VERSION_OS_ARCH.ptar
in the same folder, for \`plakar pkg add\`. Nothing is fetched from anywhere.
The executable is a script that runs on the Node of the machine (20.19 or later), or with --standalone a program with Node
inside, for machines without it: for this platform, or for another one with --platform and the node of that platform.`,
    EXIT.notFound,
  )

  static override examples = [
    {command: '<%= config.bin %> <%= command.id %>', description: 'into ./oci-plugin'},
    {
      command: '<%= config.bin %> <%= command.id %> --standalone -o /tmp/oci-plugin',
      description: 'for machines of this platform that have no Node',
    },
    {
      command:
        '<%= config.bin %> <%= command.id %> --standalone --platform linux/arm64 --node ./node-v20.19.0-linux-arm64/bin/node',
      description: 'for another platform',
    },
  ]

  static override flags = {
    name: Flags.string({
      default: 'oci',
      description: 'name of the package in plakar, letters, digits and hyphens',
      helpValue: 'NAME',
    }),
    node: Flags.string({
      dependsOn: ['standalone'],
      description: 'node program to put inside (default: the one that runs this)',
      helpValue: 'PATH',
    }),
    output: Flags.string({
      char: 'o',
      default: 'oci-plugin',
      description: 'folder for the files and the package; it is made when it is not there',
      helpValue: 'DIR',
    }),
    plakar: Flags.string({
      description: 'plakar to make the package with (default: the one on PATH)',
      helpValue: 'PATH',
    }),
    platform: Flags.string({
      description: 'platform that the package is for (default: this one)',
      helpValue: 'OS/ARCH',
    }),
    standalone: Flags.boolean({description: 'a program with Node inside, some 100 MB, for machines without Node'}),
  }

  static override summary = 'make the package that plakar installs'

  async run(): Promise<PluginPackResult> {
    const {flags} = await this.parse(PluginPack)
    const {packPlugin} = await import('../../plugin/pack/index.js')
    const {node, output, plakar, platform, standalone} = flags
    const version = `v${this.config.version}`
    const result = await packPlugin({
      dir: output,
      env: process.env,
      name: flags.name,
      node,
      plakar,
      platform,
      signal: this.signal,
      standalone,
      version,
    })
    const {files, ...rest} = result
    for (const {bytes, path} of files) this.print(`wrote  ${humanSize(bytes).padStart(9)}  ${path}`)
    if (result.signed === false) {
      const remake = [
        ['codesign', '--sign', '-', result.executable],
        ['plakar', 'pkg', 'create', result.manifest, version],
      ]
      const commands = remake.map(([program = '', ...args]) => `\`${shellCommand(program, ...args)}\``)
      this.note(`the program is not signed, and only a Mac can do that: there ${commands.join(', then ')}`)
    } else if (result.package === undefined) {
      const command = shellCommand('plakar', 'pkg', 'create', result.manifest, version)
      this.note(
        `plakar is not on PATH, so the package was not made: name it with --plakar, or run \`${command}\` where it is`,
      )
    } else {
      this.note(`install it with \`${shellCommand('plakar', 'pkg', 'add', result.package)}\``)
    }

    return rest
  }
}
