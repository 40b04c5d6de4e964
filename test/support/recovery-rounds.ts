import type { DurableTarget } from "@fanwire/protocol";
import fc from "fast-check";
import { everyone, topic } from "./durable.ts";

export const USERS = ["anna", "bob"];
const TARGETS: readonly DurableTarget[] = [
  ...["a", "a.b", "a.c", "d"].map(topic),
  ...USERS.map((user) => ({ kind: "user" as const, user })),
  everyone,
];
const PATTERNS = ["a", "a.b", "a.*", "a.>", "d", "*", ">"];

const target = fc.constantFrom(...TARGETS);
/** Limits of the stream, for each subject and in total. */
const limits = fc.record({
  perSubject: fc.integer({ min: 3, max: 10 }),
  whole: fc.oneof(
    { weight: 4, arbitrary: fc.constant({}) },
    { weight: 2, arbitrary: fc.integer({ min: 5, max: 30 }).map((max_msgs) => ({ max_msgs })) },
    { weight: 1, arbitrary: fc.integer({ min: 500, max: 2_000 }).map((max_bytes) => ({ max_bytes })) },
  ),
});
const since = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("of-now" as const), back: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("of-before" as const), at: fc.nat(1_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("last" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("future" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("malformed" as const),
      text: fc.constantFrom("", "x", "-1", "1", "a-01", "a-1-1", "a--1", "another-3"),
    }),
  },
);
const reader = fc.record({
  patterns: fc.uniqueArray(fc.constantFrom(...PATTERNS), { maxLength: 4 }),
  user: fc.constantFrom(undefined, ...USERS),
  /** A new fanwire.v1 connection, a subscription of an open connection, or an event stream. */
  by: fc.constantFrom("connection" as const, "subscription" as const, "events" as const),
  since,
});
const onceIn = <Value>(rounds: number, arbitrary: fc.Arbitrary<Value>) =>
  fc.oneof({ weight: rounds - 1, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
type RoundOptions = {
  readonly atOnce: { readonly minLength: number; readonly maxLength: number };
  readonly recreateEvery: number;
  readonly faultEvery: number;
};

/**
 * Returns rounds: each is a state of the history, and the readers that resume in it. `atOnce` readers resume together.
 * There is one recreation of the history, which workers need seconds to detect, for each `recreateEvery` rounds.
 */
export const roundOf = ({ atOnce, recreateEvery, faultEvery }: RoundOptions) =>
  fc.record({
    recreate: onceIn(recreateEvery, limits),
    publish: fc.array(target, { maxLength: 30 }),
    /** Whether everything stored expires before the rest is published. */
    ageOut: onceIn(10, fc.constant(true)),
    /** Number kept for each subject from now on, which may be less or more than before. */
    edit: onceIn(5, fc.integer({ min: 1, max: 10 })),
    publishAfter: fc.array(target, { maxLength: 10 }),
    /** Share of the stream that is purged, oldest first. */
    purge: onceIn(6, fc.double({ min: 0, max: 1, noNaN: true })),
    publishMeanwhile: fc.array(target, { maxLength: 6 }),
    /** Messages of the history of which one is lost on its way to the workers, while the readers resume. */
    loss: onceIn(3, fc.integer({ min: 3, max: 8 })),
    /** The fault when the readers resume: the connections of the workers to NATS are reset, or one worker is killed. */
    fault: onceIn(faultEvery, fc.constantFrom("reset" as const, "kill" as const)),
    readers: fc.array(reader, { ...atOnce, size: "max" }),
  });
export type Since = typeof since extends fc.Arbitrary<infer Value> ? Value : never;
export type Reader = typeof reader extends fc.Arbitrary<infer Value> ? Value : never;
export type Round = ReturnType<typeof roundOf> extends fc.Arbitrary<infer Value> ? Value : never;
