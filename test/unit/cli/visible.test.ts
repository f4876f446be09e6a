import {expect} from 'chai'

import {visible} from '../../../src/cli/visible.js'

describe('what a terminal is given', () => {
  const cases: [string, string, string][] = [
    ['an escape sequence', '\u001B]0;owned\u0007', String.raw`\x1b]0;owned\x07`],
    ['a sequence that clears the screen', '\u001B[2Jclean', String.raw`\x1b[2Jclean`],
    ['a return that overwrites the line', 'error\rall is well', String.raw`error\x0dall is well`],
    ['a backspace and a delete', 'a\bb\u007F', String.raw`a\x08b\x7f`],
    ['an eight-bit control sequence', '\u009B31m', String.raw`\x9b31m`],
    ['text that is turned round', 'a\u202Etxt.exe\u202C', String.raw`a\u202etxt.exe\u202c`],
    ['lines, tabs, letters and signs of all kinds', 'a\n\tü 🦊 👩‍💻 日本', 'a\n\tü 🦊 👩‍💻 日本'],
  ]
  for (const [what, text, shown] of cases) {
    it(`shows, and does not obey, ${what}`, () => {
      expect(visible(text)).to.equal(shown)
      expect(visible(text, {keepColours: true})).to.equal(shown)
    })
  }

  it('keeps colours where they are our own, and nowhere else', () => {
    const text = '\u001B[1;31mERROR\u001B[0m \u001B[31'
    expect(visible(text, {keepColours: true})).to.equal(String.raw`${'\u001B[1;31mERROR\u001B[0m '}\x1b[31`)
    expect(visible(text)).to.equal(String.raw`\x1b[1;31mERROR\x1b[0m \x1b[31`)
  })
})
