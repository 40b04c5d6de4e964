import { expect, test } from "vitest";
import type { Connection } from "./connection.ts";
import { Connections } from "./core/connections.ts";
import { Users } from "./core/users.ts";
import { treesOf } from "./delivery.ts";
import { Receipts } from "./receipts.ts";

const noted = {
  followed: { trees: treesOf("fanwire.live.all"), pattern: undefined, user: undefined },
  handedTo: 1,
  exceptedId: undefined,
};

test("what nobody asks for is forgotten, and then nobody is told that it is final", async () => {
  const receipts = new Receipts(new Connections<Connection>(), new Users());
  expect(await receipts.take("never noted")).toEqual({ delivered: 0, buffered: 0, isFinal: true });

  for (let at = 0; at <= 10_000; at++) receipts.note(String(at), noted);

  expect(await receipts.take("10000")).toMatchObject({ isFinal: true });
  expect(await receipts.take("0")).toMatchObject({ isFinal: false });
});

test("who closed before it was looked at is not counted", async () => {
  const receipts = new Receipts(new Connections<Connection>(), new Users());

  receipts.note("a", noted);

  expect(await receipts.take("a")).toEqual({ delivered: 0, buffered: 0, isFinal: true });
});
