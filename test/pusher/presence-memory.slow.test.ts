import { MAX_INFO_BYTES } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { subjects } from "../support/bus.ts";
import { metric, startPusher } from "../support/cluster.ts";
import { connectPresence } from "../support/presence-client.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher } from "../support/pusher-client.ts";
import { SECRET } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const MIB = 1_048_576;
const MAX_BYTES = 256 * MIB;
const OTHER = "zzzzzzzz";

const { nats, bus } = useCluster();

/**
 * Announces users of a worker that does not exist. Each takes about two kilobytes by the count of the other workers.
 * `bytes` returns that count: NATS would disconnect a worker that is 64 MB behind, and nobody would answer its question
 * for the rest.
 */
async function announceUsers(topic: string, users: number, bytes: () => Promise<number>): Promise<void> {
  const info = "i".repeat(MAX_INFO_BYTES - 2);
  const together = 800;
  for (let counter = 1; counter * together <= users; counter++) {
    const joined = Array.from({ length: together }, (_, at) => ({ user: `${counter}-${at}`, since: 1, info }));
    const announcement = { worker: OTHER, previous: counter - 1, counter, joined, left: [] };
    bus.send(subjects.presence(topic), Buffer.from(JSON.stringify(announcement)));
    await bus.confirm();
    if (counter % 8 === 0) {
      await until("the announcements are received", async () => (await bytes()) > counter * together * info.length);
    }
  }
}

function sendNotice(notice: object): void {
  bus.send(subjects.presenceWorkers, Buffer.from(JSON.stringify({ worker: OTHER, ...notice })));
}

test("above the bound of bytes nobody joins until members have left", async () => {
  const env = { ...pusherAppsEnv(), PUSHER_TOKEN_SECRET: SECRET, PUSHER_PRESENCE_LEAVE_SECONDS: "1" };
  await using pusher = await startPusher({ nats: nats.url, env: { ...env, PUSHER_WORKERS: "1" } });
  const witness = await connectPresence(pusher, "witness");
  const own = { topics: ["presence-*"], presence: ["presence-*"] };
  const late = await connectPresence(pusher, "late", own);
  const client = await connectPusher(pusher.url, demoApp);
  await witness.join("large");
  const bytes = () => metric(pusher.adminUrl, "fanwire_pusher_presence_bytes");
  sendNotice({ kind: "beat", beat: 1, topics: 1 });
  const beats = setInterval(() => sendNotice({ kind: "beat", beat: beat++, topics: 1 }), 1_000);
  let beat = 2;

  await announceUsers("large", 140_000, bytes);
  await until("the members are known", async () => (await bytes()) > MAX_BYTES);

  expect(await late.join("presence-small")).toMatchObject({ ok: false, error: { code: "unavailable" } });
  expect(await client.subscribe("presence-small", { user_id: "late" })).toMatchObject({
    event: "pusher:subscription_error",
    data: { type: "ServerError", status: 503 },
  });
  expect(await metric(pusher.adminUrl, "fanwire_pusher_presence_refused_total")).toBe(2);
  clearInterval(beats);
  sendNotice({ kind: "end" });
  await until("the members have left", async () => (await bytes()) < MIB);
  expect(await late.join("presence-small")).toMatchObject({ ok: true, count: 1 });
  expect((await client.subscribe("presence-small", { user_id: "pusher" })).event).toMatch(/succeeded$/);
});
