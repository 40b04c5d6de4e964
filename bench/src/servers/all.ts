import { bare, bareSse } from "./bare.ts";
import { limitBatched, limitBatchedFanwire, limitEach, limitPatientFanwire } from "./limit.ts";
import { naive } from "./naive.ts";
import { natsWebSocket } from "./nats-websocket.ts";
import { nchan } from "./nchan.ts";
import {
  pusher,
  pusherApp,
  pusherDurable,
  pusherFanwire,
  pusherFanwireDurable,
  pusherFlush,
  pusherSse,
} from "./pusher.ts";
import type { Server } from "./server.ts";
import { socketIo } from "./socket-io.ts";
import { pusherTraced } from "./traced.ts";
import { wsOverNats } from "./ws.ts";

/** Servers with which the pusher is compared under `--peers`. */
export const peers: readonly Server[] = [limitEach, limitBatched, wsOverNats, socketIo, natsWebSocket, nchan];

export const servers: readonly Server[] = [
  bare,
  naive,
  pusher,
  pusherFlush,
  pusherFanwire,
  pusherApp,
  pusherSse,
  pusherDurable,
  pusherFanwireDurable,
  pusherTraced,
  bareSse,
  limitBatchedFanwire,
  limitPatientFanwire,
  ...peers,
];
