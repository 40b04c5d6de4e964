import { fanwireV1 } from "./fanwire-v1.ts";
import { namespacedPusher, pusher } from "./pusher/protocol.ts";
import { raw } from "./raw.ts";
import type { ServedProtocol } from "./served-protocol.ts";
import { sse } from "./sse.ts";

/** All client protocols. The worker opens their routes, and fan-out writes to the connections of each. */
export const clientProtocols: readonly ServedProtocol[] = [raw, fanwireV1, sse, pusher, namespacedPusher];
