/** Start of `performance.now()`, which counts from the start of the process, on the machine's clock. */
const originMicros = findOrigin();

/** Returns microseconds of CLOCK_MONOTONIC, which all processes of a machine share, without the BigInt of hrtime. */
export function nowMicros(): number {
  return originMicros + performance.now() * 1000;
}

/**
 * Compares both clocks many times and uses the shortest comparison, because any may be interrupted for milliseconds.
 */
function findOrigin(): number {
  let origin = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 100; look++) {
    const before = performance.now();
    const monotonic = process.hrtime.bigint();
    const between = performance.now() - before;
    if (between >= least) continue;
    least = between;
    origin = Number(monotonic) / 1000 - (before + between / 2) * 1000;
  }
  return origin;
}
