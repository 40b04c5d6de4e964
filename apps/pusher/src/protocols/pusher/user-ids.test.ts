import { channelSignature, type PusherApp, signinSignature } from "@fanwire/pusher-protocol";
import { expect, test } from "vitest";
import type { ServingParts } from "../served-protocol.ts";
import type { Audience } from "./audience.ts";
import { authorizeChannel } from "./channel-auth.ts";
import type { PusherSession } from "./session.ts";
import { Signins } from "./signin.ts";

const secret = "secret";
const app = { namespace: "shop", keys: [{ key: "key", secret }] } as unknown as PusherApp;
/** Few characters, and 256 bytes. */
const longId = "😀".repeat(64);

test("a user id that is too long in bytes alone is refused with the limit in bytes", () => {
  const sent: string[] = [];
  const session = { app, socketId: "1.1", send: (frame: string) => sent.push(frame) } as unknown as PusherSession;
  const channelData = JSON.stringify({ user_id: longId });
  const channel = "presence-x";
  const auth = `key:${channelSignature(secret, { socketId: "1.1", channel, channelData })}`;
  expect(authorizeChannel(session, { channel, auth, channelData })).toMatchObject({
    ok: false,
    problem: { message: expect.stringContaining("255 bytes") },
  });

  const user_data = JSON.stringify({ id: longId.slice(0, -2) });
  const signins = new Signins({} as ServingParts, {} as Audience);
  signins.receive(session, { auth: `key:${signinSignature(secret, "1.1", user_data)}`, user_data });
  expect(sent).toEqual([expect.stringContaining("with the namespace of the app, at most 255 bytes")]);
});
