const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'
const PAGE = 0x40_00
const BASE = 0x1_00_00_00_00
const HEADER_BYTES = 32
const SEGMENT = 0x19
const SEGMENT_BYTES = 72
const SECTION_BYTES = 80

/** Processors, as Mach-O numbers them. */
export const MAC_CPU = {amd64: 0x1_00_00_07, arm64: 0x1_00_00_0c} as const

interface Section {
  readonly address: number
  readonly bytes: number
  readonly offset: number
}

/** A section that a program for macOS has, with what is in it. */
export interface FoundSection {
  readonly content: Buffer
  readonly name: string
  readonly segment: string
}

/** What tells Node apart for those who put a script into it: its version, and the mark that it carries none. */
const nodeMarks = () => Buffer.from(`${FUSE}:0\0${process.version}\0`)

/** The smallest program for macOS that takes a script as Node does. It does not run. */
export function tinyMacProgram(arch: keyof typeof MAC_CPU): Buffer {
  const marks = nodeMarks()
  const segments = [
    segment('__PAGEZERO', {address: 0, bytes: 0, memory: BASE, offset: 0}),
    segment('__TEXT', {address: BASE, bytes: PAGE, memory: PAGE, offset: 0}, [
      {address: BASE + PAGE / 2, bytes: marks.length, offset: PAGE / 2},
    ]),
    segment('__LINKEDIT', {address: BASE + PAGE, bytes: 16, memory: PAGE, offset: PAGE}),
  ]
  const commands = Buffer.concat(segments)
  const program = Buffer.alloc(PAGE + 16)
  for (const [index, word] of [0xfe_ed_fa_cf, MAC_CPU[arch], 0, 2, segments.length, commands.length].entries())
    program.writeUInt32LE(word, 4 * index)
  commands.copy(program, HEADER_BYTES)
  marks.copy(program, PAGE / 2)
  return program
}

/** A head that says linux/arm64, the marks of Node, and no place where anything could be put. */
export function placelessLinuxProgram(): Buffer {
  const program = Buffer.alloc(2 * PAGE)
  program.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  program.writeUInt16LE(2, 16)
  program.writeUInt16LE(0xb7, 18)
  program.writeUInt32LE(1, 20)
  nodeMarks().copy(program, PAGE)
  return program
}

/** All sections of a program for macOS. */
export function macSections(program: Buffer): FoundSection[] {
  const sections: FoundSection[] = []
  let at = HEADER_BYTES
  for (let left = program.readUInt32LE(16); left > 0; left--) {
    if (program.readUInt32LE(at) === SEGMENT) {
      for (let index = 0; index < program.readUInt32LE(at + 64); index++)
        sections.push(sectionAt(program, at + SEGMENT_BYTES + index * SECTION_BYTES))
    }

    at += program.readUInt32LE(at + 4)
  }

  return sections
}

function sectionAt(program: Buffer, at: number): FoundSection {
  const offset = program.readUInt32LE(at + 48)
  return {
    content: program.subarray(offset, offset + Number(program.readBigUInt64LE(at + 40))),
    name: nameAt(program, at),
    segment: nameAt(program, at + 16),
  }
}

function nameAt(program: Buffer, at: number): string {
  return program.toString('latin1', at, at + 16).replace(/\0+$/, '')
}

function segment(name: string, range: Section & {readonly memory: number}, sections: readonly Section[] = []): Buffer {
  const command = Buffer.alloc(SEGMENT_BYTES + sections.length * SECTION_BYTES)
  command.writeUInt32LE(SEGMENT, 0)
  command.writeUInt32LE(command.length, 4)
  command.write(name, 8, 'latin1')
  for (const [index, number] of [range.address, range.memory, range.offset, range.bytes].entries())
    command.writeBigUInt64LE(BigInt(number), 24 + 8 * index)
  command.writeUInt32LE(sections.length, 64)
  for (const [index, {address, bytes, offset}] of sections.entries()) {
    const at = SEGMENT_BYTES + index * SECTION_BYTES
    command.write('__text', at, 'latin1')
    command.write(name, at + 16, 'latin1')
    command.writeBigUInt64LE(BigInt(address), at + 32)
    command.writeBigUInt64LE(BigInt(bytes), at + 40)
    command.writeUInt32LE(offset, at + 48)
  }

  return command
}
