/** Carries out a job at once. Returns its result and the number of its steps. */
export function finish<Result>(job: Generator<unknown, Result>): { readonly result: Result; readonly steps: number } {
  for (let steps = 1; ; steps++) {
    const { done, value } = job.next();
    if (done) return { result: value, steps };
  }
}
