import { expect, test } from "vitest";
import { connectFanwire } from "../support/fanwire-client.ts";
import { pusherAppsEnv } from "../support/pusher-apps.ts";
import { answerOf, openPusherSdk } from "../support/pusher-sdk.ts";
import { expectShortTicks, longestTickMs, tickMonitor } from "../support/tick-monitor.ts";
import { useCluster } from "../support/use-cluster.ts";

const CLIENTS = 50;
const TOPICS = 2_000;
const AT_ONCE = 200;

const { pusher, publisher } = useCluster({
  publisher: { ...pusherAppsEnv(), ...tickMonitor },
  pusher: {
    ...tickMonitor,
    PUSHER_WORKERS: "1",
    PUSHER_MAX_TOPICS: "100000",
    PUSHER_MAX_INBOUND_PER_SECOND: "10000",
  },
});

test("a list of 100,000 channels is whole and blocks neither a worker nor a publisher", async () => {
  const names = Array.from({ length: CLIENTS * TOPICS }, (_, at) => `channel-${(at * 7_919) % (CLIENTS * TOPICS)}`);
  for (let client = 0; client < CLIENTS; client++) {
    const { askTogether } = await connectFanwire(pusher.url);
    for (let at = 0; at < TOPICS; at += AT_ONCE) {
      const topics = names.slice(client * TOPICS + at, client * TOPICS + at + AT_ONCE);
      await askTogether(topics.map((topic) => ({ command: "subscribe", topic })));
    }
  }
  const sorted = names.sort();

  await expectShortTicks(`list of ${names.length} channels`, async () => {
    await longestTickMs(pusher);
    await longestTickMs(publisher);

    const { status, body } = await answerOf(openPusherSdk(publisher).get({ path: "/channels", params: {} }));

    expect(status).toBe(200);
    const { channels } = body as { channels: object };
    expect(Object.keys(channels).sort()).toEqual(sorted);
    return Math.max(await longestTickMs(pusher), await longestTickMs(publisher));
  });
});
