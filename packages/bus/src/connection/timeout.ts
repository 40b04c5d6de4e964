/** The result of `work`; undefined when it takes longer than `ms`. Clears its timer at once, since there may be thousands. */
export function withTimeout<Result>(ms: number, work: Promise<Result>): Promise<Result | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, undefined).unref();
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
