/** `performance.now()` counts from the start of its own process; this is where that start lies on the machine's clock. */
const originMicros = findOrigin();

/** Microseconds of CLOCK_MONOTONIC: the same clock in every process of one machine, without the BigInt of hrtime. */
export function nowMicros(): number {
  return originMicros + performance.now() * 1000;
}

/** Of many looks at both clocks that between which least time passed: any may be interrupted for milliseconds. */
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
