import type {Authorizer} from './auth/authorizer.js'
import type {Action, Principal} from './auth/principal.js'
import type {ServerContext} from './context.js'
import type {Exchange} from './exchange.js'

import {isRepositoryName} from '../registry/reference.js'
import {fault, HttpFault} from './faults.js'
import {handleBlob} from './handlers/blobs.js'
import {handleCatalog, handleReferrers, handleTags} from './handlers/listings.js'
import {handleManifest} from './handlers/manifests.js'
import {handleUpload, handleUploads} from './handlers/uploads.js'
import {METHODS, parseRoute, type Route} from './routes.js'

export interface RegistryOptions extends ServerContext {
  readonly authorizer: Authorizer
  readonly readOnly: boolean
}

/** What one request needs the right for. */
interface Need {
  /** Any one of these will do. */
  readonly actions: readonly Action[]
  readonly name: string
  /** A challenge asks for these: pushing clients read as well. */
  readonly scopes: readonly string[]
}

/**
 * Answers the requests of the distribution API.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 */
export class Registry {
  readonly #options: RegistryOptions

  constructor(options: RegistryOptions) {
    this.#options = options
  }

  /** @throws HttpFault, or whatever broke */
  async handle(exchange: Exchange): Promise<void> {
    const route = parseRoute(exchange.path)
    if (!route || (route.kind === 'token' && !this.#options.authorizer.token)) {
      throw new HttpFault(404, 'UNSUPPORTED', 'no such path')
    }

    const methods = METHODS[route.kind]
    if (!methods.includes(exchange.method)) {
      throw new HttpFault(405, 'UNSUPPORTED', `${exchange.method.slice(0, 20)} is not for this path`, {
        headers: {allow: methods.join(', ')},
      })
    }

    if (route.kind === 'token') await this.#options.authorizer.token?.(exchange)
    else {
      exchange.principal = await this.#admit(exchange, route)
      const isWrite = !['GET', 'HEAD'].includes(exchange.method)
      if (isWrite && this.#options.readOnly) throw fault.readOnly()
      await this.#dispatch(exchange, route)
    }
  }

  /** @throws HttpFault 401 */
  async #admit(exchange: Exchange, route: Route): Promise<Principal> {
    const {authorizer} = this.#options
    const principal = await authorizer.identify(exchange)
    const hasCredentials = exchange.header('authorization') !== undefined
    const reason = hasCredentials ? 'insufficient_scope' : undefined
    if (route.kind === 'base' || route.kind === 'token') {
      if (hasCredentials || authorizer.isOpen) return principal
      throw authorizer.refusal(exchange, [])
    }

    if (route.kind === 'catalog') {
      if (principal.canList) return principal
      throw authorizer.refusal(exchange, ['registry:catalog:*'], reason)
    }

    const needs = needsOf(exchange, route)
    const isAllowed = needs.every(({actions, name}) => actions.some((action) => principal.can(action, name)))
    if (isAllowed) return principal
    throw authorizer.refusal(
      exchange,
      needs.flatMap(({scopes}) => scopes),
      reason,
    )
  }

  async #dispatch(exchange: Exchange, route: Exclude<Route, {kind: 'token'}>): Promise<void> {
    switch (route.kind) {
      case 'base': {
        await exchange.json(200, {})
        break
      }

      case 'blob': {
        await handleBlob(this.#options, exchange, route)
        break
      }

      case 'catalog': {
        await handleCatalog(this.#options, exchange, route)
        break
      }

      case 'manifest': {
        await handleManifest(this.#options, exchange, route)
        break
      }

      case 'referrers': {
        await handleReferrers(this.#options, exchange, route)
        break
      }

      case 'tags': {
        await handleTags(this.#options, exchange, route)
        break
      }

      case 'upload': {
        await handleUpload(this.#options, exchange, route)
        break
      }

      case 'uploads': {
        await handleUploads(this.#options, exchange, route)
        break
      }
    }
  }
}

function needsOf(exchange: Exchange, route: Extract<Route, {name: string}>): Need[] {
  const {name} = route
  const push: Need = {actions: ['push'], name, scopes: [`repository:${name}:pull,push`]}
  if (route.kind === 'uploads') {
    const from = exchange.query.get('mount') === null ? null : exchange.query.get('from')
    return from === null || from === '' || from === name || !isRepositoryName(from)
      ? [push]
      : [push, {actions: ['pull'], name: from, scopes: [`repository:${from}:pull`]}]
  }

  // Clients ask for either right to give an upload up.
  if (route.kind === 'upload') return [exchange.method === 'DELETE' ? {...push, actions: ['push', 'delete']} : push]
  if (exchange.method === 'DELETE') return [{actions: ['delete'], name, scopes: [`repository:${name}:delete`]}]
  if (exchange.method === 'PUT') return [push]
  return [{actions: ['pull'], name, scopes: [`repository:${name}:pull`]}]
}
