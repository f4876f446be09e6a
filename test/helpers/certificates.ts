import {writeFileSync} from 'node:fs'
import {isIP} from 'node:net'
import {join} from 'node:path'
import {generate} from 'selfsigned'

import {scratchDir} from './hooks.js'

export interface Certificate {
  readonly cert: string
  readonly certFile: string
  readonly key: string
  readonly keyFile: string
}

export interface IssueOptions {
  readonly notAfterDate?: Date
  readonly notBeforeDate?: Date
}

/** A private certificate authority of this test run. */
export class Authority {
  readonly own: Certificate
  readonly #dir = scratchDir('ca')
  #issued = 0

  private constructor(pems: {readonly cert: string; readonly private: string}) {
    this.own = this.#write(pems)
  }

  static async make(): Promise<Authority> {
    return new Authority(
      await generate([{name: 'commonName', value: 'kloset-oci test authority'}], {
        algorithm: 'sha256',
        extensions: [
          {cA: true, critical: true, name: 'basicConstraints'},
          {critical: true, keyCertSign: true, name: 'keyUsage'},
        ],
        keyType: 'ec',
      }),
    )
  }

  /** A certificate that nobody but its owner vouches for. */
  static async selfSigned(host: string): Promise<{readonly cert: string; readonly key: string}> {
    const pems = await generate([{name: 'commonName', value: host}], {
      algorithm: 'sha256',
      extensions: [{altNames: [{ip: host, type: 7}], name: 'subjectAltName'}],
      keyType: 'ec',
    })
    return {cert: pems.cert, key: pems.private}
  }

  /** A certificate for these host names and addresses, for servers and clients. */
  async issue(hosts: readonly string[], options: IssueOptions = {}): Promise<Certificate> {
    return this.#write(
      await generate([{name: 'commonName', value: hosts[0] ?? 'nobody'}], {
        ...options,
        algorithm: 'sha256',
        ca: {cert: this.own.cert, key: this.own.key},
        extensions: [
          {cA: false, name: 'basicConstraints'},
          {clientAuth: true, name: 'extKeyUsage', serverAuth: true},
          {
            altNames: hosts.map((host) =>
              isIP(host) ? {ip: host, type: 7 as const} : {type: 2 as const, value: host},
            ),
            name: 'subjectAltName',
          },
        ],
        keyType: 'ec',
      }),
    )
  }

  #write(pems: {readonly cert: string; readonly private: string}): Certificate {
    this.#issued++
    const certFile = join(this.#dir, `${this.#issued}.crt`)
    const keyFile = join(this.#dir, `${this.#issued}.key`)
    writeFileSync(certFile, pems.cert)
    writeFileSync(keyFile, pems.private, {mode: 0o600})
    return {cert: pems.cert, certFile, key: pems.private, keyFile}
  }
}
