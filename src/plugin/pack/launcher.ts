import {BUNDLE_NAME, STARTER_NAME} from './bundle.js'

/** Where Node is when PATH does not say: services and jobs often have a short one. */
const USUAL_PLACES = [
  '/usr/local/bin/node',
  '/usr/bin/node',
  '/opt/homebrew/bin/node',
  '/opt/local/bin/node',
  '/snap/bin/node',
  '$HOME/.local/bin/node',
  '$HOME/.volta/bin/node',
]

/**
 * The executable that plakar starts: a shell script which finds Node and lets it take the script's place, so that no
 * shell stays between plakar and the plugin.
 * @param node Node's path on the machine that makes the package, tried before the usual places
 */
export function launcherScript(node: string | undefined): string {
  const places = [...(node === undefined ? [] : [quote(node)]), ...USUAL_PLACES.map((place) => `"${place}"`)]
  return `#!/bin/sh
# Starts kloset-oci's plugin for plakar. KLOSET_OCI_NODE names Node where it is not found.
here=\${0%/*}
[ "$here" = "$0" ] && here=.
start="$here/${STARTER_NAME}"
plugin="$here/${BUNDLE_NAME}"
if [ -n "$KLOSET_OCI_NODE" ]; then
  [ -x "$KLOSET_OCI_NODE" ] && exec "$KLOSET_OCI_NODE" "$start" "$plugin"
  echo "kloset-oci plugin: KLOSET_OCI_NODE is $KLOSET_OCI_NODE, and there is no program" >&2
  exit 127
fi
node=$(command -v node 2>/dev/null) && [ -x "$node" ] && exec "$node" "$start" "$plugin"
for node in ${places.join(' ')}; do
  [ -x "$node" ] && exec "$node" "$start" "$plugin"
done
echo "kloset-oci plugin: Node.js (20.19 or later) was not found: install it, name it in KLOSET_OCI_NODE," \\
  "or use the standalone package, which needs none" >&2
exit 127
`
}

/** A word of the shell that stands for itself. */
function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}
