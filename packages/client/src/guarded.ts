/**
 * Calls a callback of the application. Throws its error in a microtask of its own, so that the client is not
 * interrupted.
 */
export function guarded(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
