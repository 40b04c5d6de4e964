import type { ConnectionAddress } from "./connection-address.ts";
import type { Target } from "./target.ts";

/** One accepted message with its target. */
export type Publication = {
  readonly target: Target;
  /** Delivered unchanged: as a text frame if it is valid UTF-8, else as a binary frame. */
  readonly content: Uint8Array;
  /** Name of the event; `message` when absent. */
  readonly event?: string;
  /** The publisher's own id of the publication. */
  readonly id?: string;
  /** Id of its receipt, if the publisher asked for one. */
  readonly receipt?: string;
  /** Connection that must not receive it, although the target includes it. */
  readonly except?: ConnectionAddress;
};
