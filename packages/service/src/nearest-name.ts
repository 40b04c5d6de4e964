/** Returns the candidate with the smallest edit distance from a name, and the distance; undefined without candidates. */
export function nearestName(
  name: string,
  candidates: readonly string[],
): { readonly name: string; readonly edits: number } | undefined {
  let nearest: { name: string; edits: number } | undefined;
  for (const candidate of candidates) {
    const edits = countEdits(name, candidate);
    if (edits < (nearest?.edits ?? Number.POSITIVE_INFINITY)) nearest = { name: candidate, edits };
  }
  return nearest;
}

/** Returns the Levenshtein distance of two names. */
function countEdits(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = at(previous, column - 1) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, at(previous, column) + 1, at(current, column - 1) + 1));
    }
    previous = current;
  }
  return at(previous, b.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
