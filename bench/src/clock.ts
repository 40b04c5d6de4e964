/** `performance.now()` counts from the start of its own process; this is where that start lies on the machine's clock. */
const originMicros = Number(process.hrtime.bigint()) / 1000 - performance.now() * 1000;

/** Microseconds of CLOCK_MONOTONIC: the same clock in every process of one machine, without the BigInt of hrtime. */
export function nowMicros(): number {
  return originMicros + performance.now() * 1000;
}
