const parentCheckMs = 250;

/**
 * Resolves when somebody wants us to stop: by a signal, or by ending the npm that runs us. A second signal calls
 * `endAtOnce` and ends this process.
 *
 * Signals within `samePressMs` count as one: npm passes on the Ctrl-C that the terminal has sent us already.
 */
export function onceAskedToStop(endAtOnce: () => void, samePressMs = 1_000): Promise<void> {
  return new Promise((resolve) => {
    let firstAt: number | undefined;
    const onSignal = () => {
      const now = Date.now();
      if (firstAt === undefined) {
        firstAt = now;
        resolve();
      } else if (now - firstAt > samePressMs) {
        endAtOnce();
        process.exit(1);
      }
    };
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, onSignal);
    if (isRunByNpm()) void onceOrphaned().then(resolve);
  });
}

function isRunByNpm(): boolean {
  const { npm_lifecycle_event: script } = process.env;
  return script !== undefined;
}

/**
 * `kill <pid of npm>` does not reach us: npm passes the signal to the `sh -c` between us, and that shell (dash at
 * least) dies of it without a word. What is left to see is a new parent.
 */
function onceOrphaned(): Promise<void> {
  const parent = process.ppid;
  return new Promise((resolve) => {
    const check = setInterval(() => {
      if (process.ppid === parent) return;
      clearInterval(check);
      resolve();
    }, parentCheckMs);
    check.unref();
  });
}
