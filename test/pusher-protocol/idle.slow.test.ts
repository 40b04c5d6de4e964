import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { connectFanwire } from "../support/fanwire-client.ts";
import { pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher, connectPusherJs, openPusherSocket, pusherUrl, subscribeJs } from "../support/pusher-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const {
  pushers: [one, two],
} = useCluster({
  pusher: { ...pusherAppsEnv(), PUSHER_WORKERS: "1", PUSHER_IDLE_SECONDS: "8", PUSHER_MAX_INBOUND_PER_SECOND: "10" },
});

test.concurrent("a client that does not answer pings is closed with 4201, and pusher-js stays", async () => {
  using js = await connectPusherJs(one.url);
  const states: string[] = [];
  js.connection.bind("state_change", ({ current }: { current: string }) => states.push(current));
  const quiet = await connectPusher(one.url);
  const deaf = openPusherSocket(pusherUrl(one.url));
  await deaf.next("pusher:connection_established");
  // The frames of the server are processed, and its pings are not answered.
  (deaf.socket as unknown as { pong(): void }).pong = () => {};
  (deaf.socket as unknown as { _autoPong: boolean })._autoPong = false;

  await until("the close", () => deaf.close, 60_000);

  expect(deaf.close?.code).toBe(4201);
  expect(deaf.frames[0]?.data).toContain('"activity_timeout":8');
  await quiet.settle();
  const { events } = await subscribeJs(js, "still");
  expect(events).toHaveLength(1);
  expect(states).toEqual([]);
}, 120_000);

test.concurrent("clients are not closed because the worker was stopped", async () => {
  const client = await connectPusher(two.url);
  const fanwire = await connectFanwire(two.url);
  let isPinged = false;
  client.socket.on("ping", () => {
    isPinged = true;
  });
  // The answer must be on its way when the worker continues.
  (client.socket as unknown as { _autoPong: boolean })._autoPong = false;
  await until("the ping", () => isPinged, 60_000);

  two.process.kill("SIGSTOP");
  client.socket.pong();
  for (let second = 0; second < 10; second++) {
    for (let n = 0; n < 9; n++) {
      fanwire.socket.send(JSON.stringify({ id: second * 9 + n, command: "subscribe", topic: `t${n}` }));
    }
    await delay(1_000);
  }
  two.process.kill("SIGCONT");

  await until("all answers", () => fanwire.replies().length === 90);
  await client.settle();
  expect(client.close).toBeUndefined();
  client.socket.close();
  fanwire.socket.close();
}, 120_000);
