import { bare } from "./bare.ts";
import { naive } from "./naive.ts";
import { pusher } from "./pusher.ts";
import type { Server } from "./server.ts";

/** The one every ratio is against. */
export const baseline: Server = bare;

/** In the order of a round. */
export const servers: readonly Server[] = [bare, naive, pusher];
