/**
 * One way in that a server offers. Scheme and parameter names are in lower case.
 * @see https://www.rfc-editor.org/rfc/rfc7235#section-2.1
 */
export interface Challenge {
  readonly parameters: Readonly<Record<string, string>>
  readonly scheme: string
}

const TOKEN = /[\w!#$%&'*+.^`|~-]+/y
const TOKEN68 = /[\w+./~-]+=*/y
const QUOTED = /"((?:[^"\\]|\\.)*)"?/sy
/** A parameter begins like a token, but an equals sign follows that is not token68 padding. */
const PARAMETER = /[\w!#$%&'*+.^`|~-]+[\t ]*=[\t ]*(?=[^\s,=])/y
/** More than a token: some servers write addresses without quotes. */
const BARE = /[^\s,"]+/y
const SPACE = /[\t ]+/y
const SEPARATORS = /[\t ,]+/y

/** Reads a `WWW-Authenticate` header, several challenges and all. What cannot be read ends the list, without an error. */
export function parseChallenges(header: string | undefined): readonly Challenge[] {
  const reader = new Reader(header ?? '')
  const challenges: Challenge[] = []
  reader.take(SEPARATORS)
  while (!reader.atEnd) {
    const scheme = reader.take(TOKEN)?.toLowerCase()
    if (scheme === undefined) break
    challenges.push({parameters: readParameters(reader), scheme})
    if (!reader.atEnd && reader.take(SEPARATORS) === undefined) break
  }

  return challenges
}

function readParameters(reader: Reader): Record<string, string> {
  const parameters = Object.create(null) as Record<string, string>
  if (reader.take(SPACE) === undefined) return parameters
  for (;;) {
    const separated = reader.position
    const start = reader.take(PARAMETER)
    if (start === undefined) {
      // The next word begins another challenge, unless it is this one's token68.
      if (Object.keys(parameters).length === 0 && !reader.looksAt(/[^,]*[\t ]/y)) reader.take(TOKEN68)
      else reader.position = separated
      return parameters
    }

    const name = start.replace(/[\t ]*=[\t ]*$/, '').toLowerCase()
    const value = reader.takeQuoted() ?? reader.take(BARE) ?? ''
    parameters[name] ??= value
    const end = reader.position
    reader.take(SEPARATORS)
    if (reader.atEnd) return parameters
    if (!reader.looksAt(PARAMETER)) {
      reader.position = end
      return parameters
    }
  }
}

/** A position in a text that sticky expressions move on. */
class Reader {
  position = 0
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  get atEnd(): boolean {
    return this.position >= this.#text.length
  }

  looksAt(expression: RegExp): boolean {
    expression.lastIndex = this.position
    return expression.test(this.#text)
  }

  take(expression: RegExp): string | undefined {
    expression.lastIndex = this.position
    const [match] = expression.exec(this.#text) ?? []
    if (match) this.position += match.length
    return match
  }

  takeQuoted(): string | undefined {
    const match = this.take(QUOTED)
    if (match === undefined) return undefined
    const end = match.length > 1 && /[^\\](?:\\\\)*"$/.test(match) ? -1 : undefined
    return match.slice(1, end).replaceAll(/\\(.)/gs, '$1')
  }
}
