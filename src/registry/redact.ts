/** Query parameters that carry no secret and that a reader needs to see. */
const HARMLESS = new Set(['artifactType', 'digest', 'from', 'last', 'mount', 'n', 'ns', 'scope', 'service'])

/** The only way a URL gets into an error, an event or a log: no user info, no fragment, no value of an unknown query. */
export function redactUrl(url: string | URL): string {
  if (url instanceof URL && isPlain(url)) return url.href
  let copy: URL
  try {
    copy = new URL(url)
  } catch {
    return '<not a url>'
  }

  copy.username = ''
  copy.password = ''
  copy.hash = ''
  for (const name of new Set(copy.searchParams.keys())) {
    if (!HARMLESS.has(name)) copy.searchParams.set(name, 'redacted')
  }

  return copy.href
}

/** Nothing is to be taken out, as of most requests. */
function isPlain({hash, password, search, username}: URL): boolean {
  return !search && !hash && !username && !password
}

/** What a registry may throw back at us is as many passwords and tokens as were sent lately. */
const MAX_REMEMBERED = 64

/** A shorter text would be found by chance, and would hide what is no secret. */
const MIN_SECRET_CHARS = 4

const remembered = new Set<string>()

/** From now on no foreign text that `plainText` passes on shows this one. */
export function rememberSecret(secret: string): void {
  if (secret.length < MIN_SECRET_CHARS) return
  remembered.delete(secret)
  remembered.add(secret)
  for (const oldest of remembered) {
    if (remembered.size <= MAX_REMEMBERED) return
    remembered.delete(oldest)
  }
}

/**
 * Line breaks become spaces; other control and direction-changing characters vanish, so that a terminal is not driven.
 * Secrets of ours that a registry throws back are taken out.
 */
export function plainText(text: string, limit = 500): string {
  let clean = text
    .replaceAll(/[\t\n\r]+/g, ' ')
    .replaceAll(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, '')
    .replaceAll(/ {2,}/g, ' ')
    .trim()
  for (const secret of remembered) clean = clean.replaceAll(secret, '<secret>')
  return clean.length > limit ? `${clean.slice(0, limit)}…` : clean
}
