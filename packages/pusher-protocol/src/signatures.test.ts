import { expect, test } from "vitest";
import {
  channelSignature,
  requestSignature,
  signinSignature,
  verifySignedAuth,
  webhookSignature,
} from "./signatures.ts";

const secret = "demo-secret-0001";
const socketId = "4711.815";

test("channel signatures are those of the Pusher SDKs", () => {
  expect(channelSignature(secret, { socketId, channel: "private-orders" })).toBe(
    "a011548928fd9512236705cd92512411464889f98a4be279e5d0f73ac91278cc",
  );
  expect(channelSignature(secret, { socketId, channel: "private-encrypted-vault" })).toBe(
    "e210fd894c9d3bc487f95cab5c2f5103cb7e3aefea15faa3ce0c90e6d04198eb",
  );
  const channelData = '{"user_id":"u1","user_info":{"name":"Ann"}}';
  expect(channelSignature(secret, { socketId, channel: "presence-lobby", channelData })).toBe(
    "d37c3f0a5dd148c1dc2eb5b4d5ddcd4956d6ad3d4215ace1a8197a17286c8da7",
  );
});

test("signatures of signins, requests and webhooks are those of the Pusher SDKs", () => {
  expect(signinSignature(secret, socketId, '{"id":"u1"}')).toBe(
    "fa26fb01fd316408a864ab73f60a01be66e6835594f0759e0120050899972f77",
  );
  const query =
    "auth_key=demo-key-0001&auth_timestamp=1700000000&auth_version=1.0&filter_by_prefix=presence-&info=user_count";
  expect(requestSignature(secret, { method: "GET", path: "/apps/demo-app/channels", query })).toBe(
    "9c4118dcd78a0a76792dacffa8071f50474d941636c0e415e390df13221ddf3a",
  );
  const body = '{"time_ms":1700000000000,"events":[{"name":"channel_occupied","channel":"private-orders"}]}';
  expect(webhookSignature(secret, body)).toBe("cdf06cbb1fb4e218221ca1491fa538285acdf56e20fa84409a7e2a941244a2cf");
});

test("an auth is accepted with any of the keys and its own secret only", () => {
  const keys = [
    { key: "new", secret: "one" },
    { key: "old", secret: "two" },
  ];
  const sign = (of: string) => channelSignature(of, { socketId, channel: "private-a" });

  expect(verifySignedAuth(`new:${sign("one")}`, keys, sign)).toBe(true);
  expect(verifySignedAuth(`old:${sign("two")}`, keys, sign)).toBe(true);
  expect(verifySignedAuth(`old:${sign("one")}`, keys, sign)).toBe(false);
  expect(verifySignedAuth(`other:${sign("one")}`, keys, sign)).toBe(false);
  for (const auth of ["", ":", "new", "new:", `new:${sign("one")}0`, `new:${sign("one").toUpperCase()}`]) {
    expect(verifySignedAuth(auth, keys, sign), auth).toBe(false);
  }
});
