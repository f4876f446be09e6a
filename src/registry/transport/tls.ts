import {X509Certificate} from 'node:crypto'
import {readFileSync} from 'node:fs'
import tls from 'node:tls'

import type {TlsOptions} from './options.js'

import {InvalidArgumentError, messageOf} from '../../errors.js'

const minVersion = 'TLSv1.2'

/** What `tls.connect` is given for every host. The context is made once: parsing all roots for each connection is slow. */
export interface TlsConnectOptions {
  readonly rejectUnauthorized: boolean
  readonly secureContext: tls.SecureContext
}

/**
 * Reads the files and builds the context. Without files nothing can be wrong, and it is built for the first connection
 * that is secure: parsing the system's roots takes some 50 ms, which plain http does not need.
 * @throws InvalidArgumentError when a file cannot be read, is not PEM, or a certificate comes without its key
 */
export function tlsConnectOptions(options: TlsOptions = {}): TlsConnectOptions {
  const {caFile, certFile, keyFile} = options
  if (Boolean(certFile) !== Boolean(keyFile)) {
    throw new InvalidArgumentError('a client certificate and its key belong together', {
      suggestions: ['Give both --cert-file and --key-file.'],
    })
  }

  const rejectUnauthorized = !options.insecureSkipTlsVerify
  if (caFile === undefined && certFile === undefined) {
    let context: tls.SecureContext | undefined
    return {
      rejectUnauthorized,
      get secureContext() {
        context ??= tls.createSecureContext({minVersion})
        return context
      },
    }
  }

  const ca = caFile === undefined ? undefined : [...systemRoots(), readAuthorities(caFile)]
  const cert = certFile === undefined ? undefined : readPem(certFile, 'CERTIFICATE')
  const key = keyFile === undefined ? undefined : readPem(keyFile, 'PRIVATE KEY')
  try {
    return {
      rejectUnauthorized,
      secureContext: tls.createSecureContext({
        ...(ca && {ca}),
        ...(cert && {cert}),
        ...(key && {key}),
        minVersion,
      }),
    }
  } catch (error) {
    const files = [caFile, certFile, keyFile].filter((file) => file !== undefined).join(', ')
    throw new InvalidArgumentError(`${files}: not usable for TLS (${messageOf(error)})`, {
      suggestions: ['Check that the files are PEM, that the key has no passphrase, and that it fits the certificate.'],
    })
  }
}

/** Naming authorities replaces Node's own, so these are named too, with the operator's `NODE_EXTRA_CA_CERTS`. */
function systemRoots(): readonly string[] {
  // Node 22.15 and later can say what it trusts by default; it knows of the extra file and of the system's store.
  const {getCACertificates} = tls as {getCACertificates?: (type: 'default') => string[]}
  if (getCACertificates) return getCACertificates('default')
  const extra = process.env['NODE_EXTRA_CA_CERTS']
  return extra ? [...tls.rootCertificates, readPem(extra, 'CERTIFICATE')] : tls.rootCertificates
}

/** Node passes over an authority that it cannot read: every later error would be about an unknown one. */
function readAuthorities(path: string): string {
  const text = readPem(path, 'CERTIFICATE')
  try {
    for (const [pem] of text.matchAll(/-----BEGIN [A-Z ]*CERTIFICATE-----.*?-----END [A-Z ]*CERTIFICATE-----/gs)) {
      // eslint-disable-next-line no-new -- its constructor is the check
      new X509Certificate(pem)
    }
  } catch (error) {
    throw new InvalidArgumentError(`${path}: not usable for TLS (${messageOf(error)})`)
  }

  return text
}

function readPem(path: string, label: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new InvalidArgumentError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`)
  }

  if (new RegExp(`-----BEGIN [A-Z ]*${label}-----`).test(text)) return text
  throw new InvalidArgumentError(`${path}: no ${label.toLowerCase()} in it`, {
    suggestions: ['The file has to be PEM: text between -----BEGIN and -----END lines.'],
  })
}
