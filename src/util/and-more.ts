/** The first ones by name, and how many more there are. */
export function andMore(first: readonly string[], count: number): string {
  const named = first.join(', ')
  return count > first.length ? `${named} and ${count - first.length} more` : named
}
