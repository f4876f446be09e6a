/**
 * Node loads its whole fetch when one of these is looked at, which axios does to find out what there is: some 20 ms of
 * every start. Requests go over node:http.
 */
export function dropWebGlobals(): void {
  for (const name of ['FormData', 'Headers', 'Request', 'Response', 'fetch']) Reflect.deleteProperty(globalThis, name)
}
