import {includeIgnoreFile} from '@eslint/compat'
import oclif from 'eslint-config-oclif'
import prettier from 'eslint-config-prettier'
import {fileURLToPath} from 'node:url'

const gitignore = fileURLToPath(new URL('.gitignore', import.meta.url))

/** Packages that belong to the terminal: nothing below the base command may load them. */
const terminalPackages = ['@oclif/core', 'ora', 'chalk']
const terminalFiles = ['src/base-command/**', 'src/cli/**', 'src/commands/**']

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
      'jsdoc/require-yields': 'off',
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
    ignores: terminalFiles,
    rules: {'no-restricted-imports': ['error', {paths: terminalPackages}]},
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/registry/transport/**', ...terminalFiles],
    rules: {'no-restricted-imports': ['error', {paths: [...terminalPackages, 'axios']}]},
  },
  {
    // Wire formats are made of bits.
    files: ['src/plugin/**', 'test/unit/plugin/**', 'test/helpers/{h2-peer,random}.ts'],
    rules: {'no-bitwise': 'off'},
  },
  {
    // Started before anything else: the older module system is there sooner.
    files: ['bin/*.{cjs,js}', 'scripts/*.cjs'],
    rules: {
      '@typescript-eslint/no-require-imports': 'off',
      'n/no-unpublished-import': 'off',
      'no-bitwise': 'off',
      'unicorn/prefer-module': 'off',
      'unicorn/prefer-top-level-await': 'off',
    },
  },
  {
    // Arguments stand in the order in which they are given.
    files: ['src/commands/**'],
    rules: {'perfectionist/sort-objects': 'off'},
  },
  {
    // What is compiled is there only after a build.
    files: ['bin/**', 'scripts/**', 'test/**'],
    rules: {'import/no-unresolved': ['error', {ignore: ['/dist/']}]},
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
