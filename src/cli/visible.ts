/** What acts on a terminal instead of being shown: control characters, and those that turn the order of the text round. */
const ACTING = String.raw`[\0-\u0008\u000B-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]`
const ALL = new RegExp(ACTING, 'g')

/** All but those with which a colour begins or ends. */
const NOT_COLOURS = new RegExp(String.raw`(?!\u001B\[[\d;]*m)${ACTING}`, 'g')

/**
 * A text as a terminal may have it: whatever is in it came from a registry, a file or a name, and is shown, not obeyed.
 * Lines and tabs stay.
 */
export function visible(text: string, {keepColours = false}: {readonly keepColours?: boolean} = {}): string {
  return text.replaceAll(keepColours ? NOT_COLOURS : ALL, (character) => {
    const code = character.codePointAt(0)!.toString(16)
    return code.length > 2 ? String.raw`\u${code}` : String.raw`\x${code.padStart(2, '0')}`
  })
}
