import { fanwireV1 } from "./fanwire-v1.ts";
import { raw } from "./raw.ts";
import type { ServedProtocol } from "./served-protocol.ts";
import { sse } from "./sse.ts";

/** All client protocols. Fan-out, recovery, the hub and the routes loop over this list. */
export const clientProtocols: readonly ServedProtocol[] = [raw, fanwireV1, sse];
