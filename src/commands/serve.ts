import {Flags} from '@oclif/core'
import {readFile} from 'node:fs/promises'
import {createSecureContext} from 'node:tls'

import type {RunningServer, ServedRequest, ServerOptions} from '../server/index.js'

import {BaseCommand, outputFlags} from '../base-command/base-command.js'
import {textArg} from '../cli/args.js'
import {paintStderr} from '../cli/colors.js'
import {describe} from '../cli/describe.js'
import {plural} from '../cli/format.js'
import {InvalidArgumentError, messageOf} from '../errors.js'
import {EXIT} from '../exit-codes.js'
import {plainText} from '../registry/redact.js'
import {isLoopback} from '../registry/reference.js'
import {fileOperation} from '../util/fs-error.js'

export interface ServeResult {
  readonly address: string
  /** Who may do what: `none` lets everybody do everything. */
  readonly auth: 'basic' | 'bearer' | 'none'
  readonly port: number
  readonly readOnly: boolean
  readonly repositories: number
  readonly url: string
}

export default class Serve extends BaseCommand {
  static override args = {
    path: textArg({
      description: 'folder of an image layout, or one that holds layouts by repository name',
      required: true,
    }),
  }

  static override baseFlags = outputFlags

  static override description = describe(
    `Offers image layouts over HTTP as a registry: for development, tests and places without a network. A folder that is an image
layout is one repository, named after the folder. Any other folder holds repositories by their paths; they are made when they
are first pushed to, and so is the folder. It runs until it is told to stop (Ctrl-C). The address is printed once it listens;
under --json that is the one document, on one line, and it comes then, not at the end.`,
    EXIT.notFound,
  )

  static override examples = [
    {command: '<%= config.bin %> <%= command.id %> ./registry', description: 'any number of repositories'},
    {
      command: '<%= config.bin %> <%= command.id %> ./store.oci --listen 127.0.0.1:0 --read-only',
      description: 'one layout, on any free port, for reading',
    },
    {
      command:
        '<%= config.bin %> <%= command.id %> ./registry --listen :5000 --users users.txt --tls-cert cert.pem --tls-key key.pem',
      description: 'for a network: with users (htpasswd -B -c users.txt NAME) and TLS',
    },
  ]

  static override flags = {
    'anonymous-pull': Flags.boolean({
      dependsOn: ['users'],
      description: 'let everybody read; only writing needs a user',
    }),
    auth: Flags.string({
      default: 'basic',
      description:
        'how users show who they are: with every request, or with short-lived tokens of the own /token service',
      options: ['basic', 'bearer'],
    }),
    delete: Flags.boolean({
      allowNo: true,
      default: true,
      description: 'let blobs, manifests and tags be deleted',
    }),
    listen: Flags.string({
      char: 'l',
      default: '127.0.0.1:5000',
      description: 'address to listen on; port 0 is any free one, and no host is every address of this machine',
      helpValue: 'HOST:PORT',
    }),
    'read-only': Flags.boolean({description: 'refuse every write'}),
    repository: Flags.string({
      description: 'name to serve an image layout under (default: the name of its folder)',
      helpValue: 'NAME',
    }),
    sparse: Flags.boolean({description: 'take manifests that name content which is not there'}),
    'tls-cert': Flags.string({
      dependsOn: ['tls-key'],
      description: 'speak https with this certificate, PEM',
      helpValue: 'FILE',
    }),
    'tls-key': Flags.string({
      dependsOn: ['tls-cert'],
      description: 'private key of the certificate, PEM',
      helpValue: 'FILE',
    }),
    users: Flags.string({
      description: 'file of user:password lines, as htpasswd -B writes them',
      helpValue: 'FILE',
    }),
    verbose: Flags.boolean({char: 'v', description: 'print every request on standard error'}),
  }

  static override summary = 'offer image layouts as a registry'

  #isAnnounced = false

  /** The document was printed when the server began to listen: what goes wrong later can only be told beside it. */
  override logJson(json: unknown): void {
    if (!this.#isAnnounced) super.logJson(json)
    else if (json instanceof Object && 'error' in json) process.stderr.write(`${JSON.stringify(json)}\n`)
  }

  async run(): Promise<ServeResult> {
    const {args, flags} = await this.parse(Serve)
    const {readUsers, startServer} = await import('../server/index.js')
    const auth = flags.users === undefined ? 'none' : ((flags.auth ?? 'basic') as 'basic' | 'bearer')
    const users = flags.users === undefined ? undefined : await readUsers(flags.users)
    const server = await startServer({
      auth: users && auth !== 'none' ? {anonymousPull: flags['anonymous-pull'], kind: auth, users} : undefined,
      deleteEnabled: flags.delete,
      listen: flags.listen,
      onRequest: requestLog(flags.verbose),
      readOnly: flags['read-only'],
      repositoryName: flags.repository,
      root: args.path.replace(/^oci-layout:/, ''),
      signal: this.signal,
      sparse: flags.sparse,
      tls: await tlsFiles(flags['tls-cert'], flags['tls-key']),
    })
    try {
      const {address, port} = server.address
      const repositories = (await server.root.names()).length
      const result = {address, auth, port, readOnly: flags['read-only'], repositories, url: server.url} as const
      this.#announce(server, result)
      await server.closed
      return result
    } finally {
      await server.close()
    }
  }

  #announce({url}: RunningServer, result: ServeResult): void {
    if (this.jsonEnabled()) {
      process.stdout.write(`${JSON.stringify(this.toSuccessJson(result))}\n`)
      this.#isAnnounced = true
    }

    this.print(url)
    this.note(paintStderr.dim(`${plural(result.repositories, 'repository', 'repositories')}; Ctrl-C stops it`))
    const warning = warningFor(result)
    // Under --json too: standard error is free for it.
    if (warning !== undefined) process.stderr.write(`${paintStderr.yellow('warning:')} ${warning}\n`)
  }
}

/** What an address that others reach asks for. */
function warningFor({address, auth, readOnly, url}: ServeResult): string | undefined {
  if (isLoopback(address.includes(':') ? `[${address}]` : address)) return undefined
  const rights = readOnly ? 'read' : 'read, write and delete'
  if (auth === 'none') return `everybody who reaches ${address} can ${rights}: give --users FILE`
  if (url.startsWith('https:')) return undefined
  return `passwords cross the network in the clear: give --tls-cert and --tls-key`
}

function requestLog(verbose: boolean): ServerOptions['onRequest'] {
  return ({error, method, ms, path, status}: ServedRequest) => {
    if (!verbose && error === undefined) return
    const line = [status === undefined ? 'gone' : String(status), method.padEnd(6), `${Math.round(ms)}ms`.padStart(7)]
    line.push(plainText(path, 400))
    if (error !== undefined) line.push(paintStderr.red(messageOf(error)))
    process.stderr.write(`${line.join(' ')}\n`)
  }
}

/** @throws InvalidArgumentError when the two files are not a certificate and its key */
async function tlsFiles(certFile: string | undefined, keyFile: string | undefined): Promise<ServerOptions['tls']> {
  if (certFile === undefined || keyFile === undefined) return undefined
  const tls = {cert: await pemFile(certFile), key: await pemFile(keyFile)}
  try {
    createSecureContext(tls)
  } catch (error) {
    throw new InvalidArgumentError(`${certFile}, ${keyFile}: not a certificate and its key`, {cause: error})
  }

  return tls
}

async function pemFile(path: string): Promise<Buffer> {
  return fileOperation('read', path, () => readFile(path))
}
