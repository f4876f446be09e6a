import {BlockList, isIP} from 'node:net'

const DEFAULT_PORTS: Readonly<Record<string, string>> = {'http:': '80', 'https:': '443'}

/**
 * Whether `NO_PROXY` names the host of `url`, in any form that curl and Go read: a name stands for itself and all below
 * it, one with a dot before it only for those below; an address, or a network like `10.0.0.0/8`; each with or without a
 * port; `*` is everything.
 */
export function goesAround(url: URL, noProxy: string): boolean {
  const host = bare(url.hostname).toLowerCase().replace(/\.$/, '')
  const port = url.port || DEFAULT_PORTS[url.protocol]
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => entry !== '' && names(entry, host, port))
}

function names(entry: string, host: string, port: string | undefined): boolean {
  if (entry === '*') return true
  const network = /^([\d.:a-f[\]]+)\/(\d{1,3})$/.exec(entry)
  if (network) return holds(bare(network[1]!), Number(network[2]), host)
  if (isIP(entry) !== 0) return isSameAddress(entry, host)
  const [, name = '', only] = /^(\[[^\]]*]|[^:]*)(?::(\d{1,5}))?$/.exec(entry) ?? []
  if (name === '' || (only !== undefined && only !== port)) return false
  if (isIP(bare(name)) !== 0) return isSameAddress(bare(name), host)
  const domain = name.replace(/^\*?\./, '')
  return host.endsWith(`.${domain}`) || (host === domain && name === domain)
}

function isSameAddress(address: string, host: string): boolean {
  return holds(address, isIP(address) === 6 ? 128 : 32, host)
}

function holds(network: string, bits: number, host: string): boolean {
  const family = isIP(network)
  if (family === 0 || isIP(host) !== family || bits > (family === 6 ? 128 : 32)) return false
  const kind = family === 6 ? 'ipv6' : 'ipv4'
  const list = new BlockList()
  list.addSubnet(network, bits, kind)
  return list.check(host, kind)
}

/** An IPv6 host without its brackets, as sockets want it. */
export function bare(host: string): string {
  return host.replaceAll(/^\[|]$/g, '')
}
