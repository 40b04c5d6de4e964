import type { FanwireError } from "./error.ts";

export type Settle<Value> = { resolve(value: Value): void; reject(error: FanwireError): void };

/** Returns a promise and the functions that settle it. Its rejection is never unhandled. */
export function settleable<Value>(): [Promise<Value>, Settle<Value>] {
  let settle!: Settle<Value>;
  const promise = new Promise<Value>((resolve, reject) => {
    settle = { resolve, reject };
  });
  promise.catch(() => {});
  return [promise, settle];
}
