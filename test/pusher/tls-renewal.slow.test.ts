import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { publishToTopic } from "../support/bus.ts";
import { createAuthority, hasOpenssl } from "../support/certificates.ts";
import { metric, startPusher } from "../support/cluster.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher } from "../support/pusher-client.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { servedSerial, serveFiles } from "../support/served-certificate.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const WORKERS = 2;
const RENEWALS = 10;
const NAMES = ["DNS:localhost"];

const { nats, bus } = useCluster();

test.skipIf(!hasOpenssl)("ten renewals under load lose no publication of an open connection", async () => {
  using authority = createAuthority();
  const ca = readFileSync(authority.caFile);
  using files = serveFiles(authority.issue(...NAMES));
  const env = { ...files.env, ...pusherAppsEnv(), PUSHER_WORKERS: String(WORKERS) };
  await using pusher = await startPusher({ nats: nats.url, env });
  const port = Number(new URL(pusher.url).port);
  const url = `wss://localhost:${port}/`;
  const readers: { readonly first: number; contents(): unknown[] }[] = [];
  let published = 0;
  const addReaders = async () => {
    const [raws, fanwire, stream, pusherClient] = await Promise.all([
      Promise.all(Array.from({ length: 5 }, () => connectRawClient(`${url}?topic=t`, {}, { ca }))),
      connectFanwire(url, { topic: "t" }, { ca }),
      readEvents(`https://localhost:${port}/sse?topic=t`, {}, { ca }),
      connectPusher(url, undefined, { ca }),
    ]);
    await pusherClient.subscribe("t");
    const first = published;
    for (const { frames } of raws) readers.push({ first, contents: () => frames });
    readers.push({ first, contents: () => fanwire.data() }, { first, contents: () => stream.data() });
    const messages = () => pusherClient.frames.filter(({ event }) => event === "message").map(({ data }) => data);
    readers.push({ first, contents: messages });
  };

  await addReaders();
  let isLoading = true;
  const load = (async () => {
    while (isLoading) {
      await Promise.all(Array.from({ length: 20 }, () => publishToTopic(bus, "t", String(published++))));
      await delay(20);
    }
  })();
  const connections = { made: 0, failed: 0 };
  const newcomers = (async () => {
    while (isLoading) {
      const serials = await Promise.all(Array.from({ length: 5 }, () => servedSerial(port, ca)));
      connections.made += serials.length;
      connections.failed += serials.filter((serial) => serial === undefined).length;
      await delay(10);
    }
  })();
  for (let renewal = 1; renewal <= RENEWALS; renewal++) {
    files.replace(authority.issue(...NAMES));
    await until("every worker serves the renewed certificate", async () => {
      return (await metric(pusher.adminUrl, "fanwire_pusher_tls_renewals_total")) === renewal * WORKERS;
    });
    if (renewal % 3 === 0) await addReaders();
  }
  isLoading = false;
  await Promise.all([load, newcomers]);

  const last = String(published - 1);
  await until("every reader has the last publication", () =>
    readers.every((reader) => reader.contents().at(-1) === last),
  );
  for (const reader of readers) {
    const contents = reader.contents().map(Number);
    const [begin = 0] = contents;
    expect(begin).toBeLessThanOrEqual(reader.first);
    expect(contents).toEqual(Array.from(contents, (_, at) => begin + at));
  }
  console.log(
    `${published} publications, ${readers.length} readers, ${connections.failed} of ${connections.made} connections failed`,
  );
  // The kernel resets the connections that wait for the earlier listener when it closes.
  expect(connections.failed).toBeLessThan(connections.made / 20);
});
