/** Returns the result of `work`, or undefined after `ms`. Clears its timer at once, because there may be thousands. */
export function withTimeout<Result>(ms: number, work: Promise<Result>): Promise<Result | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, undefined).unref();
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
