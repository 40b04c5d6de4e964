import { expect, test } from "vitest";
import { metric, startPusher, type TestPusher } from "../support/cluster.ts";
import { connectCrowd } from "../support/crowd.ts";
import { topic } from "../support/durable.ts";
import { callApi } from "../support/http-api.ts";
import { startLink } from "../support/link.ts";
import { portOf } from "../support/port.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectSocket, HANDSHAKE } from "../support/raw-socket.ts";
import { expectShortTicks, longestTickMs, tickMonitor } from "../support/tick-monitor.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const CLIENTS = 3_000;
const TOPICS = 100;
/** Long enough to connect all clients on a busy machine. */
const EXPIRES_AFTER_S = 20;
const KEPT = 2;

const { nats, history, publisher } = useCluster({ history: { maxPerSubject: KEPT } });
const env = {
  ...pusherAppsEnv({ ...demoApp, authorizedWithinSeconds: EXPIRES_AFTER_S }),
  PUSHER_WORKERS: "1",
  PUSHER_TOKEN_SECRET: SECRET,
  PUSHER_HANDSHAKES_PER_SECOND: "0",
  ...tickMonitor,
};

const connections = (pusher: TestPusher) => metric(pusher.adminUrl, "fanwire_pusher_connections");

function untilAllAreClosed(pusher: TestPusher): Promise<unknown> {
  return until("all are closed", async () => (await connections(pusher)) === 0, 60_000);
}

async function connectAll(pusher: TestPusher, claims: Record<string, unknown>, query = "") {
  const token = await signToken({ topics: [">"], ...claims });
  const url = `${pusher.url}/?token=${token}${query}`;
  const clients = await connectCrowd(Array(CLIENTS).fill(url), () => {});
  return {
    [Symbol.dispose]: () => {
      for (const client of clients) client.close();
    },
  };
}

const expectShort = (what: string, measure: () => Promise<number>) =>
  expectShortTicks(`${CLIENTS} connections, ${what}`, measure);

test("three thousand tokens that expire in the same second end connections in ticks below 50 ms of work", async () => {
  await using pusher = await startPusher({ nats: nats.url, env });
  await expectShort("tokens that expire", async () => {
    using _ = await connectAll(pusher, { exp: Math.floor(Date.now() / 1_000) + EXPIRES_AFTER_S });
    await longestTickMs(pusher);

    await untilAllAreClosed(pusher);

    return await longestTickMs(pusher);
  });
});

test.each([
  ["subscribed by the application", "PUT", "/v1/users/guest/topics/news"],
  ["unsubscribed by the application", "DELETE", "/v1/users/guest/topics/news"],
  ["closed by the application", "DELETE", "/v1/users/guest/connections"],
])("three thousand connections of a user that are %s take ticks below 50 ms of work", async (what, method, path) => {
  await using pusher = await startPusher({ nats: nats.url, env });
  await expectShort(what, async () => {
    using _ = await connectAll(pusher, { sub: "guest" }, method === "DELETE" ? "&topic=news" : "");
    await longestTickMs(pusher);

    const { status, body } = await callApi(publisher, method, path);

    const longestMs = await longestTickMs(pusher);
    expect(status, JSON.stringify(body)).toBe(200);
    expect(JSON.stringify(body)).toContain(String(CLIENTS));
    await callApi(publisher, "DELETE", "/v1/users/guest/connections");
    await untilAllAreClosed(pusher);
    return longestMs;
  });
});

test("the subscribers of a topic among three hundred thousand subscriptions are counted in ticks below 50 ms of work", async () => {
  await using pusher = await startPusher({ nats: nats.url, env });
  const query = Array.from({ length: TOPICS }, (_, at) => `&topic=topic.${at}`).join("");
  using _ = await connectAll(pusher, {}, query);

  await expectShort(`${TOPICS} topics each`, async () => {
    await longestTickMs(pusher);

    const { status, body } = await callApi(publisher, "GET", `/v1/topics/topic.${TOPICS - 1}`);

    expect(status).toBe(200);
    expect(body).toMatchObject({ connections: CLIENTS });
    return longestTickMs(pusher);
  });
});

test("three thousand Pusher clients that do not authorize in time are closed in ticks below 50 ms of work", async () => {
  await using pusher = await startPusher({ nats: nats.url, env });
  const [, ...rest] = HANDSHAKE;
  const request = [`GET /app/${demoApp.key}?protocol=7 HTTP/1.1`, ...rest, "", ""].join("\r\n");
  await expectShort("not authorized", async () => {
    for (let count = 0; count < CLIENTS; count += 200) {
      const sockets = await Promise.all(Array.from({ length: 200 }, () => connectSocket(pusher.url)));
      for (const { socket } of sockets) socket.write(request);
    }
    await until("all are connected", async () => (await connections(pusher)) === CLIENTS);
    await longestTickMs(pusher);

    await untilAllAreClosed(pusher);

    return longestTickMs(pusher);
  });
});

test("three thousand clients that missed publications of own topics are closed in ticks below 50 ms of work", async () => {
  await using link = await startLink(portOf(nats.url));
  await using pusher = await startPusher({ nats: link.url, env: { ...env, PUSHER_PUBLIC_TOPICS: ">" } });
  const topics = Array.from({ length: CLIENTS }, (_, at) => `own.${at}`);
  const publish = () => Promise.all(topics.map((name) => history.append(topic(name), "x")));
  await publish();
  const urls = topics.map((name) => `${pusher.url}/?topic=${name}`);
  await expectShort("missed publications", async () => {
    const clients = await connectCrowd(urls, () => {});

    link.cut();
    for (let count = 0; count <= KEPT; count++) await publish();
    await longestTickMs(pusher);
    link.heal();
    await untilAllAreClosed(pusher);

    for (const client of clients) client.close();
    return longestTickMs(pusher);
  });
});
