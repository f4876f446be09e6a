/** `ID:PATH` in its two parts; without a colon the path is empty: the folder that was backed up. */
export function splitSnapshotPath(text: string): {readonly id: string; readonly path: string} {
  const colon = text.indexOf(':')
  return colon === -1 ? {id: text, path: ''} : {id: text.slice(0, colon), path: text.slice(colon + 1)}
}
