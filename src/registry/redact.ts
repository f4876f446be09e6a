/** Query parameters that carry no secret and that a reader needs to see. */
const HARMLESS = new Set(['artifactType', 'digest', 'from', 'last', 'mount', 'n', 'ns', 'scope', 'service'])

/** The only way a URL gets into an error, an event or a log: no user info, no fragment, no value of an unknown query. */
export function redactUrl(url: string | URL): string {
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

  // A path may hold a token that was sent: some stores of blobs are opened by nothing else.
  copy.pathname = withoutSecrets(copy.pathname, 'redacted')
  return copy.href
}

/** What a registry may throw back at us is as many passwords and tokens as were sent lately. */
const MAX_REMEMBERED = 64

/** A shorter text would be found by chance, and would hide what is no secret. */
const MIN_SECRET_CHARS = 4

/** Each secret with the forms in which texts and addresses may hold it. */
const remembered = new Map<string, readonly string[]>()

/** From now on no foreign text that `plainText` passes on shows this one. */
export function rememberSecret(secret: string): void {
  if (secret.length < MIN_SECRET_CHARS) return
  const forms = remembered.get(secret) ?? formsOf(secret)
  remembered.delete(secret)
  remembered.set(secret, forms)
  for (const oldest of remembered.keys()) {
    if (remembered.size <= MAX_REMEMBERED) return
    remembered.delete(oldest)
  }
}

function formsOf(secret: string): string[] {
  const inJson = JSON.stringify(secret).slice(1, -1)
  // Half a character cannot stand in an address.
  const whole = Buffer.from(secret).toString()
  const forms = [
    secret,
    inJson,
    inJson.replaceAll(/[&<>]/g, (character) => `\\u00${character.codePointAt(0)!.toString(16)}`),
    encodeURI(whole),
    encodeURIComponent(whole),
    new URLSearchParams([['', secret]]).toString().slice(1),
    new URL(`http://x/${secret.replaceAll(/[#?]/g, (character) => encodeURIComponent(character))}`).pathname.slice(1),
  ]
  return [...new Set(forms)]
}

/** The longest form first: a shorter one, of the same secret or another, may be a part of it and would leave the rest. */
function withoutSecrets(text: string, instead: string): string {
  const found = [...remembered.values()].flat().filter((form) => text.includes(form))
  let clean = text
  for (const form of found.sort((left, right) => right.length - left.length)) clean = clean.replaceAll(form, instead)
  return clean
}

/** Addresses in foreign texts: some are as good as a password for as long as they are signed for. */
const ADDRESS = /\b(https?:\/\/)(?:[^\s"'/<>?#]*@)?([^\s"'<>?#]*)([#?][^\s"'<>]*)?/gi

/** A parameter of a signed address that was torn out of it. */
const SIGNATURE = /\b((?:x-(?:amz|goog)-[a-z-]*|access_?token|sig|signature)=)[^\s"'&<>]+/gi

/**
 * Line breaks become spaces; other control and direction-changing characters vanish, so that a terminal is not driven.
 * Secrets of ours that a registry throws back are taken out, and of addresses what may be a secret of others.
 */
export function plainText(text: string, limit = 500): string {
  const clean = withoutSecrets(text, '<secret>')
    .replaceAll(/[\t\n\r]+/g, ' ')
    .replaceAll(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, '')
    .replaceAll(/ {2,}/g, ' ')
    .trim()
  // Once more: what was taken out may have stood inside a secret.
  const shown = withoutSecrets(clean, '<secret>')
    .replaceAll(ADDRESS, (_, scheme: string, rest: string, query = '') => `${scheme}${rest}${query === '' ? '' : '?…'}`)
    .replaceAll(SIGNATURE, '$1…')
  return shown.length > limit ? `${shown.slice(0, limit)}…` : shown
}
