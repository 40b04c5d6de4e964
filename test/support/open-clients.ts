/** Closes each client of the running test. Undefined between tests, so that hooks and programs close what they open. */
let opened: (() => void)[] | undefined;

/** Closes a client when the test that opened it ends. */
export function closeAfterTest(close: () => void): void {
  opened?.push(close);
}

/** Called by `useCluster` before each test. */
export function beginTest(): void {
  opened = [];
}

/** Called by `useCluster` after each test. */
export function endTest(): void {
  for (const close of opened ?? []) close();
  opened = undefined;
}
