import type { ConnectionAddress } from "./connection-address.ts";
import type { Target } from "./target.ts";

/** One accepted message: who it is for, what it says. */
export type Publication = {
  readonly target: Target;
  /** Bytes, delivered as they are: a text frame when they are valid UTF-8, else a binary one. */
  readonly content: Uint8Array;
  /** The application's name for it; absent means `message`. */
  readonly event?: string;
  /** The publisher's own id for it. */
  readonly id?: string;
  /** Under which id its receipt will be asked for, if it will. */
  readonly receipt?: string;
  /** A connection that must not get it, though the target includes it. */
  readonly except?: ConnectionAddress;
};
