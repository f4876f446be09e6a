import {homedir} from 'node:os'
import {join} from 'node:path'

export type Environment = Readonly<Record<string, string | undefined>>

/** Where docker keeps its logins, and `login` puts new ones. */
export function dockerConfigPath(env: Environment): string {
  return join(env['DOCKER_CONFIG'] || join(homeOf(env), '.docker'), 'config.json')
}

/** Every file that may hold a login, the first one that has one wins. */
export function credentialFilePaths(env: Environment): readonly string[] {
  const paths = [
    env['REGISTRY_AUTH_FILE'],
    env['XDG_RUNTIME_DIR'] && join(env['XDG_RUNTIME_DIR'], 'containers', 'auth.json'),
    join(env['XDG_CONFIG_HOME'] || join(homeOf(env), '.config'), 'containers', 'auth.json'),
    dockerConfigPath(env),
  ]
  return [...new Set(paths.filter((path) => path !== undefined).filter((path) => path !== ''))]
}

function homeOf(env: Environment): string {
  return env['HOME'] || env['USERPROFILE'] || homeFolder() || '/'
}

/** Nothing for a user whom the system does not know, as containers have them; docker takes the root then. */
function homeFolder(): string {
  try {
    return homedir()
  } catch {
    return ''
  }
}
