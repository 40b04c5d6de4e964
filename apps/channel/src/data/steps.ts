/** Work in steps of at most some hundred microseconds. The caller decides in which tick the next step runs. */
export type Steps<T> = Generator<void, T>;

/** Carries out all remaining steps at once. */
export function finishSteps<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
