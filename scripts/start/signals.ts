const parentCheckMs = 250;

/**
 * Resolves at the first request to stop: a signal, or the end of the npm that runs this process. A second signal calls
 * `endAtOnce` and ends this process.
 *
 * Signals within `samePressMs` count as one: npm forwards the Ctrl-C that the terminal has already sent to this
 * process.
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
 * `kill <pid of npm>` sends no signal to this process: npm forwards it to the `sh -c` in between, and that shell (dash
 * at least) ends without forwarding it. This process only gets a new parent.
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
