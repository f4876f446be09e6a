import {expect} from 'chai'

import {failureOf, rememberFailure} from '../../../src/cli/failure.js'
import {ClosedPipeError} from '../../../src/cli/output.js'
import {renderFailure} from '../../../src/cli/render-failure.js'
import {NotFoundError} from '../../../src/errors.js'

describe('failure', () => {
  it('tells a known error by its code, with the status of the table', () => {
    const failure = failureOf(new NotFoundError('no store', {cause: new Error('404'), facts: {status: 404}}))
    expect(failure).to.deep.equal({
      error: {causes: ['404'], code: 'NOT_FOUND', facts: {status: 404}, message: 'no store', suggestions: []},
      exitCode: 66,
      quiet: false,
    })
  })

  it('tells an error of the system as one of input and output, with its name as a fact', () => {
    const error = Object.assign(new Error('ENOSPC: no space left on device, write'), {code: 'ENOSPC', syscall: 'write'})
    const {error: told, exitCode} = failureOf(error)
    expect(told.code).to.equal('IO')
    expect(told.facts).to.deep.equal({errno: 'ENOSPC'})
    expect(told.message).to.equal('write: no space left on device')
    expect(exitCode).to.equal(1)
  })

  it('says that the folder has gone in which it was started', () => {
    const error = Object.assign(new Error('ENOENT: no such file or directory, uv_cwd'), {
      code: 'ENOENT',
      syscall: 'uv_cwd',
    })
    const {error: told, exitCode} = failureOf(error)
    expect([told.code, told.message, exitCode]).to.deep.equal([
      'IO',
      'the folder that this was started in is not there any more',
      1,
    ])
  })

  it('tells an aborted call as interrupted', () => {
    expect(failureOf(new DOMException('stop', 'AbortError'))).to.include({exitCode: 130})
  })

  it('is quiet about a reader that went away', () => {
    expect(failureOf(new ClosedPipeError())).to.include({exitCode: 141, quiet: true})
  })

  it('tells anything else as a defect, with none of its properties', () => {
    const error = Object.assign(new TypeError('boom'), {config: {headers: {Authorization: 'Bearer canary'}}})
    const failure = failureOf(error)
    expect(failure).to.include({exitCode: 1})
    expect(failure.error.code).to.equal('UNEXPECTED')
    expect(JSON.stringify(failure)).not.to.contain('canary')
    expect(renderFailure(failure, error)).not.to.contain('canary')
  })

  it('survives a value that is no error', () => {
    expect(failureOf('text').error.message).to.equal('unexpected: text')
    expect(failureOf(42).exitCode).to.equal(1)
  })

  it('puts the parser on one line, with its help as the next step', () => {
    const thrown = Object.assign(
      new Error('Missing 1 required arg:\nstore  the \u001B[2mstore\u001B[22m\nSee more help with --help'),
      {
        oclif: {exit: 2},
      },
    )
    expect(failureOf(thrown, 'kloset-oci ls --help')).to.deep.equal({
      error: {
        causes: [],
        code: 'USAGE',
        facts: {},
        message: 'missing 1 required arg: store the store',
        suggestions: ['kloset-oci ls --help'],
      },
      exitCode: 2,
      quiet: false,
    })
  })

  it('says the same again of an error that it has seen', () => {
    const thrown = new Error('late')
    const failure = failureOf(new NotFoundError('first'))
    const seen = rememberFailure(thrown, failure)
    expect(failureOf(seen)).to.equal(failure)
    expect(seen).to.deep.include({exitCode: 66, oclif: {exit: 66}})
  })

  it('prints the error first, then causes, facts and next steps, and no stack', () => {
    const error = new NotFoundError('no store', {
      cause: new Error('GET http://h/v2/: 404'),
      facts: {attempts: 1, status: 404},
      suggestions: ['look elsewhere'],
    })
    expect(renderFailure(failureOf(error), error).split('\n')).to.deep.equal([
      'error: no store',
      'cause: GET http://h/v2/: 404',
      'facts: attempts=1 status=404',
      'next:  look elsewhere',
      '',
    ])
  })

  it('wraps at words and indents what follows', () => {
    const error = new NotFoundError(`${'word '.repeat(40)}end`)
    const lines = renderFailure(failureOf(error)).trimEnd().split('\n')
    expect(lines.length).to.be.greaterThan(1)
    for (const line of lines) expect(line.length).to.be.at.most(120)
    for (const line of lines.slice(1)) expect(line).to.match(/^ {7}\S/)
  })
})
