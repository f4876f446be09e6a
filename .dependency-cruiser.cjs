/**
 * The layers, lowest first. A folder may import itself and what stands below it, never above:
 * commands -> base-command -> cli -> repair -> checker, transfer, restore, server, plugin -> kloset -> registry -> util, errors.
 */
const above = {
  'base-command': ['commands'],
  checker: ['repair', 'transfer', 'server', 'plugin'],
  cli: ['commands', 'base-command'],
  kloset: ['checker', 'transfer', 'repair', 'restore', 'server', 'plugin'],
  plugin: ['checker', 'transfer', 'repair', 'server'],
  registry: ['kloset', 'checker', 'transfer', 'repair', 'restore', 'server', 'plugin'],
  repair: ['server', 'plugin'],
  restore: ['checker', 'transfer', 'repair', 'server', 'plugin'],
  server: ['kloset', 'checker', 'transfer', 'repair', 'plugin'],
  transfer: ['checker', 'repair', 'restore', 'server', 'plugin'],
}

const terminal = ['commands', 'cli', 'base-command']

const inside = (layers) => `^src/(${layers.join('|')})/`

module.exports = {
  forbidden: [
    {from: {}, name: 'no-circular', severity: 'error', to: {circular: true}},
    {
      from: {path: '^src/(util/|errors)'},
      name: 'util-and-errors-are-the-ground',
      severity: 'error',
      to: {path: '^src/', pathNot: '^src/(util/|errors)'},
    },
    ...Object.entries(above).map(([layer, higher]) => ({
      from: {path: `^src/${layer}/`},
      name: `${layer}-looks-down`,
      severity: 'error',
      to: {path: `${inside(terminal.includes(layer) ? higher : [...higher, ...terminal])}|^src/index`},
    })),
    {
      from: {path: '^src/', pathNot: '^src/registry/transport/'},
      name: 'axios-only-in-transport',
      severity: 'error',
      to: {path: 'node_modules/axios'},
    },
    {
      from: {path: '^src/', pathNot: inside(terminal)},
      name: 'terminal-packages-only-on-top',
      severity: 'error',
      to: {path: 'node_modules/(@oclif/core|ora|chalk)/'},
    },
    {
      from: {path: '^src/index'},
      name: 'library-has-no-terminal',
      severity: 'error',
      to: {path: inside(terminal)},
    },
    {
      comment: 'kloset and above see interfaces; which backend serves them is decided in registry/open.ts',
      from: {path: '^src/(kloset|checker|transfer|repair|restore|plugin)/'},
      name: 'backends-only-through-the-factory',
      severity: 'error',
      to: {path: '^src/registry/(remote|layout|memory|transport)/'},
    },
  ],
  options: {
    doNotFollow: {path: 'node_modules'},
    tsConfig: {fileName: 'tsconfig.json'},
    tsPreCompilationDeps: true,
  },
}
