import {includeIgnoreFile} from '@eslint/compat'
import oclif from 'eslint-config-oclif'
import prettier from 'eslint-config-prettier'
import {fileURLToPath} from 'node:url'

const gitignore = fileURLToPath(new URL('.gitignore', import.meta.url))

/** Packages that belong to the terminal: nothing below the base command may load them. */
const terminalPackages = ['@oclif/core', 'ora', 'chalk']

export default [
  includeIgnoreFile(gitignore),
  {ignores: ['test/fixtures/**']},
  ...oclif,
  prettier,
  {
    rules: {
      '@stylistic/lines-between-class-members': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      'dot-notation': 'off',
      'jsdoc/check-param-names': 'off',
      'max-lines': ['error', {max: 400, skipBlankLines: true, skipComments: true}],
      'n/no-unsupported-features/node-builtins': 'off',
      'no-await-in-loop': 'off',
      'no-console': 'error',
      'no-undef': 'off',
      'unicorn/no-object-as-default-parameter': 'off',
      'unicorn/no-process-exit': 'error',
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/base-command.ts', 'src/commands/**'],
    rules: {'no-restricted-imports': ['error', {paths: terminalPackages}]},
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/registry/transport/**', 'src/base-command.ts', 'src/commands/**'],
    rules: {'no-restricted-imports': ['error', {paths: [...terminalPackages, 'axios']}]},
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unused-expressions': 'off',
      'max-nested-callbacks': 'off',
      'prefer-arrow-callback': 'off',
    },
  },
  {
    files: ['bench/**', 'scripts/**'],
    rules: {'no-console': 'off'},
  },
]
