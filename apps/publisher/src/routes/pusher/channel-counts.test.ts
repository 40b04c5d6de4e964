import { pusherAppsFrom } from "@fanwire/pusher-protocol";
import { expect, test } from "vitest";
import { readCachedEvent } from "./cached-event.ts";
import { channelInfos, countConnections } from "./channel-counts.ts";

const [app] = pusherAppsFrom({
  FANWIRE_PUSHER_APPS: JSON.stringify([{ id: "7", key: "k", secret: "s", namespace: "own" }]),
}).all;
if (app === undefined) throw new Error("an app is configured");

type Parts = Parameters<typeof readCachedEvent>[0];
type Cluster = Parameters<typeof channelInfos>[0];

test("a cached event has its text and the rest of half an hour, and none is older or no text", async () => {
  const read = (ageSeconds: number, content = Buffer.from("hello")) => {
    const publication = { content, time: new Date(Date.now() - ageSeconds * 1_000) };
    const history = { last: async () => ({ ok: true, publication }) };
    const parts = { history, subjects: { history: () => "s" } } as unknown as Parts; // it uses nothing else
    return readCachedEvent(parts, app, "cache-a");
  };

  expect(await read(100.5)).toEqual({ ok: true, cache: { data: "hello", ttl: 1_700 } });
  expect(await read(-60)).toMatchObject({ cache: { ttl: 1_800 } });
  expect(await read(1_799)).toMatchObject({ cache: { ttl: 1 } });
  expect(await read(1_800)).toEqual({ ok: true, cache: null });
  expect(await read(0, Buffer.from([0xff]))).toEqual({ ok: true, cache: null });
});

test("members and connections are counted on the topics of the app, and a count of some workers is none", async () => {
  const asked: string[][] = [];
  let isComplete = true;
  const cluster = {
    lists: {
      countSubscriptions: async (topics: string[]) => {
        asked.push(topics);
        return { ok: true, connections: [3, 4], complete: isComplete };
      },
    },
    countMembersOf: async (topics: string[]) => {
      asked.push(topics);
      return { ok: true, counts: [2] };
    },
  } as unknown as Cluster; // it uses nothing else
  const channels = ["presence-a", "b"];

  const counted = await countConnections(cluster, app, channels);
  if (!counted.ok) throw new Error(counted.reason);
  const wanted = new Set(["user_count", "subscription_count"] as const);
  expect(await channelInfos(cluster, app, { channels: counted.channels, wanted })).toEqual({
    ok: true,
    infos: [{ user_count: 2 }, { subscription_count: 4 }],
  });
  expect(asked).toEqual([["app/own/presence-a", "app/own/b"], ["app/own/presence-a"]]);
  isComplete = false;
  expect(await countConnections(cluster, app, channels)).toEqual({ ok: false, reason: "worker-timeout" });
});
