import type { CloseCode } from "@fanwire/protocol";
import type { PusherApp } from "@fanwire/pusher-protocol";
import { isAllowedOrigin } from "@fanwire/service";
import type { GateRefusal } from "../../connections/admission.ts";
import { pusherCodes } from "../../wire/pusher-close-codes.ts";
import { pusherQueryRefusal } from "../../wire/pusher-handshake.ts";
import type { ServingParts } from "../served-protocol.ts";

/** Refused clients are upgraded too, because they read the reason only from a frame and a close code. */
export type PusherAdmission =
  | { readonly ok: true; readonly app: PusherApp }
  | { readonly ok: false; readonly closeCode: CloseCode };

const codeOfGate: Record<GateRefusal, CloseCode> = {
  draining: pusherCodes.draining,
  "connection-limit": pusherCodes.full,
  "handshake-rate": pusherCodes.full,
  origin: pusherCodes.originForbidden,
};

/** Parts of a request. `key` is that of the app. */
export type PusherHandshake = { readonly key: string; readonly origin: string; readonly query: string };

/** Decides a handshake of the Pusher protocol. Counts refusals. */
export function admitPusher({ key, origin, query }: PusherHandshake, parts: ServingParts): PusherAdmission {
  const { hub, config, counters } = parts;
  const gate = hub.admit(origin);
  if (gate !== undefined) return { ok: false, closeCode: codeOfGate[gate] };
  const app = config.pusherApps.withKey(key);
  if (app === undefined) {
    counters.refused.app++;
    return { ok: false, closeCode: pusherCodes.unknownApp };
  }
  if (!isAllowedOrigin(origin, app.allowedOrigins)) {
    counters.refused.origin++;
    return { ok: false, closeCode: pusherCodes.originForbidden };
  }
  const closeCode = pusherQueryRefusal(query);
  if (closeCode === undefined) return { ok: true, app };
  counters.refused.malformed++;
  return { ok: false, closeCode };
}
