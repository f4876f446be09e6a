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

  return copy.href
}

/** Line breaks become spaces; other control and direction-changing characters vanish, so that a terminal is not driven. */
export function plainText(text: string, limit = 500): string {
  const clean = text
    .replaceAll(/[\t\n\r]+/g, ' ')
    .replaceAll(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, '')
    .replaceAll(/ {2,}/g, ' ')
    .trim()
  return clean.length > limit ? `${clean.slice(0, limit)}…` : clean
}
