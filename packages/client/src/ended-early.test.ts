import { expect, test, vi } from "vitest";
import { pendingTimers, useFakeTime } from "../test-data/fake-time.ts";
import { FakeWebSocket, record, recordOpen, settled } from "../test-data/fake-web-socket.ts";
import { connect } from "./index.ts";

useFakeTime();

test("the timeout of a subscription that was ended does not end a later one to the same topic", async () => {
  const { client } = await recordOpen({ commandTimeoutMs: 3_000 });
  const first = expect(client.subscribe("a")).rejects.toMatchObject({ code: "closed" });
  await settled();
  void client.unsubscribe("a");
  await settled();
  FakeWebSocket.last.reply("unsubscribe");
  const second = client.subscribe("a");
  await settled();
  FakeWebSocket.last.reply("subscribe");
  await second;
  await first;

  await vi.advanceTimersByTimeAsync(3_000);

  expect(FakeWebSocket.last.commands.map(({ command }) => command)).toEqual(["subscribe", "unsubscribe", "subscribe"]);
});

test("unsubscribe resolves at once before the first connection, and sends nothing on it", async () => {
  const { client } = await record();
  const names = Array.from({ length: 40 }, (_, at) => `t${at}`);
  for (const name of names) client.subscribe(name).catch(() => {});
  let resolved = 0;
  for (const name of names) void client.unsubscribe(name).then(() => resolved++);
  await settled();
  expect(resolved).toBe(40);
  for (const name of names) client.subscribe(name).catch(() => {});

  FakeWebSocket.last.welcome();
  await vi.advanceTimersByTimeAsync(5_000);

  expect(FakeWebSocket.last.commands.filter(({ command }) => command === "unsubscribe")).toEqual([]);
});

test("a client that its application closes as it begins to connect requests no token", async () => {
  const token = vi.fn(() => "t");
  const client = connect({
    url: "ws://pusher.example/",
    WebSocket: FakeWebSocket,
    token,
    onPublication: () => {},
    onState: ({ state }) => {
      if (state === "connecting") client.close();
    },
  });
  await settled();

  expect(client.state).toBe("closed");
  expect(token).not.toHaveBeenCalled();
  expect(pendingTimers()).toBe(0);
});
