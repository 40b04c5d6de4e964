/** Cost of a character that a name lacks. People leave out a word more often than they write another. */
const MISSING = 0.5;

/**
 * Returns the candidate with the smallest edit distance from a name, and the distance; undefined without candidates. A
 * character that the name lacks counts half.
 */
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

/** Returns the Levenshtein distance of a name from a candidate, with {@link MISSING} as the cost of an insertion. */
function countEdits(name: string, candidate: string): number {
  let previous = Array.from({ length: candidate.length + 1 }, (_, column) => column * MISSING);
  for (let row = 1; row <= name.length; row++) {
    const current = [row];
    for (let column = 1; column <= candidate.length; column++) {
      const replaced = at(previous, column - 1) + (name[row - 1] === candidate[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, at(previous, column) + 1, at(current, column - 1) + MISSING));
    }
    previous = current;
  }
  return at(previous, candidate.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
