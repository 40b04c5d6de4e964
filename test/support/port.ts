/** Returns the port of an address. */
export function portOf(url: string): number {
  return Number(new URL(url).port);
}
