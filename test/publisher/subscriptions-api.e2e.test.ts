import { connect } from "@fanwire/client";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { callApi } from "../support/http-api.ts";
import { closeAfterTest } from "../support/open-clients.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { pushers, publisher } = useCluster({
  pusher: { PUSHER_TOKEN_SECRET: SECRET, PUSHER_PUBLIC_TOPICS: ">", PUSHER_MAX_TOPICS: "2", PUSHER_WORKERS: "1" },
});

const call = (method: string, path: string, body?: unknown) => callApi(publisher, method, path, body);

test("the API subscribes and unsubscribes a connection within its limit", async () => {
  const client = await connectRawClient(pushers[0].url);
  const topics = `/v1/connections/${client.address}/topics`;

  expect((await call("PUT", `${topics}/orders.7`)).status).toBe(204);
  expect((await call("PUT", `${topics}/orders.*`)).status).toBe(204);
  expect(await call("PUT", `${topics}/third`)).toMatchObject({ status: 409, body: { error: { code: "topic_limit" } } });
  expect((await call("PUT", `${topics}/a.%3E.b`)).status).toBe(422);
  expect((await call("PUT", `/v1/connections/${client.workerId}.9999/topics/a`)).status).toBe(404);
  expect((await call("PUT", "/v1/connections/zzzzzzzz.1/topics/a")).status).toBe(404);
  expect((await call("GET", `/v1/connections/${client.address}`)).body).toMatchObject({
    topics: ["orders.7", "orders.*"],
  });
  expect((await call("GET", "/v1/topics/orders.7")).body).toEqual({ topic: "orders.7", connections: 1, members: 0 });

  expect((await call("POST", "/v1/publications", { target: { topic: "orders.7" }, data: "x" })).status).toBe(200);
  await until("the client receives a copy for each subscription", () => client.frames.length === 2);
  expect((await call("DELETE", `${topics}/orders.7`)).status).toBe(204);
  expect((await call("DELETE", `${topics}/orders.*`)).status).toBe(204);
  expect((await call("GET", "/v1/topics/orders.7")).body).toEqual({ topic: "orders.7", connections: 0, members: 0 });
});

test("the API finds, subscribes and closes a user on all workers", async () => {
  const token = await signToken({ sub: "анна@example" });
  const path = `/v1/users/${encodeURIComponent("анна@example")}`;
  const clients = await Promise.all([...pushers, ...pushers].map(({ url }) => connectFanwire(url, { token })));
  const bystander = await connectFanwire(pushers[0].url, { token: await signToken({ sub: "bob" }) });

  expect((await call("GET", path)).body).toMatchObject({
    user: "анна@example",
    count: 4,
    connections: expect.arrayContaining(
      clients.map(({ welcome }) => expect.objectContaining({ address: welcome.connection })),
    ),
  });
  expect((await call("PUT", `${path}/topics/news`)).body).toEqual({ connections: 4 });
  expect((await call("GET", "/v1/topics/news")).body).toEqual({ topic: "news", connections: 4, members: 0 });
  await call("POST", "/v1/publications", { target: { user: "анна@example" }, data: "to you" });
  await call("POST", "/v1/publications", { target: { topics: ["news", "nobody"] }, data: "to news" });
  await until("all clients receive it", () => clients.every((client) => client.publications.length === 2));
  for (const client of clients) expect(client.data()).toEqual(["to you", "to news"]);
  expect((await call("DELETE", `${path}/topics/news`)).body).toEqual({ connections: 4 });
  expect((await call("GET", "/v1/topics/news")).body).toEqual({ topic: "news", connections: 0, members: 0 });

  expect((await call("DELETE", `${path}/connections`)).body).toEqual({ connections: 4 });
  await until("all connections are closed", () => clients.every(({ close }) => close?.code === 4403));
  expect((await call("GET", path)).body).toEqual({ user: "анна@example", count: 0, connections: [] });
  expect(bystander.close).toBeUndefined();
  expect(bystander.publications).toEqual([]);
});

test("clients learn that the API has unsubscribed them, after everything that was published before", async () => {
  const token = await signToken({ sub: "carl" });
  const [one] = pushers;
  const client = await connectFanwire(one.url, { token, topic: ["room", "other"] });
  const stream = await readEvents(`${one.url.replace("ws", "http")}sse?topic=room&token=${token}`);

  await call("POST", "/v1/publications", { target: { topic: "room" }, data: "last" });
  expect((await call("DELETE", "/v1/users/carl/topics/room")).body).toEqual({ connections: 2 });
  expect((await call("DELETE", "/v1/users/carl/topics/room")).body).toEqual({ connections: 2 });
  await call("POST", "/v1/publications", { target: { topics: ["room", "other"] }, data: "more" });
  await call("POST", "/v1/publications", { target: { user: "carl" }, data: "end" });

  await until("the client has everything", () => client.data().includes("end"));
  expect(client.messages.slice(1).map(({ type, topic, data }) => [type, topic, data])).toEqual([
    ["publication", "room", "last"],
    ["unsubscribed", "room", undefined],
    ["publication", "other", "more"],
    ["publication", undefined, "end"],
  ]);
  await until("the stream has everything", () => stream.data().includes("end"));
  expect(
    stream
      .events()
      .slice(1)
      .map(({ event, data }) => [event, data]),
  ).toEqual([
    [undefined, "last"],
    ["fanwire.unsubscribed", '{"topic":"room"}'],
    [undefined, "end"],
  ]);
});

test("the presence of a client ends when the API unsubscribes it", async () => {
  const token = () => signToken({ sub: "dora", topics: [">"], presence: [">"] });
  const refused: string[] = [];
  const onRefused = (topic: string, { code }: { readonly code: string }) => void refused.push(`${topic}: ${code}`);
  const client = connect({ url: pushers[0].url, WebSocket, token, onPublication() {}, onRefused });
  closeAfterTest(() => client.close());
  const lobby = client.presence("lobby");
  await lobby.subscribed;

  expect((await call("DELETE", "/v1/users/dora/topics/lobby")).body).toEqual({ connections: 1 });
  await until("the presence has ended", () => !lobby.isCurrent);

  expect(refused).toEqual(["lobby: forbidden"]);
  expect((await call("GET", "/v1/topics/lobby")).body).toMatchObject({ connections: 0, members: 0 });
});
