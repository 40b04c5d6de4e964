import { expect, test } from "vitest";
import { connectFanwire } from "../support/fanwire-client.ts";
import { hasPhp } from "../support/php-peer.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { phpCall, signedCall, signedTarget } from "../support/pusher-sdk.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { pusher, publisher } = useCluster({ publisher: pusherAppsEnv(), pusher: pusherAppsEnv() });

test.skipIf(!hasPhp)("requests that PHP signs are accepted, and its answers are objects", async () => {
  const client = await connectFanwire(pusher.url, { topic: ["php-a", "php-b"] });
  const event = { name: "событие", data: '{"a":"ü b+c"}', channels: ["php-a", "php-b"] };

  expect(await phpCall(publisher, { path: "/events", body: JSON.stringify(event) })).toEqual({
    status: 200,
    body: "{}",
  });
  await until("both publications", () => client.publications.length === 2);
  expect(client.publications[0]).toMatchObject({ event: "событие", data: '{"a":"ü b+c"}' });
  // The SDK signs an array joined with commas and sends it with indices.
  const query = { name: "n", data: "in the query", channels: ["php-a", "php-b"] };
  expect(await phpCall(publisher, { path: "/events", query })).toEqual({ status: 200, body: "{}" });
  await until("two more", () => client.publications.length === 4);

  const list = { filter_by_prefix: "php-", info: "subscription_count,subscription_count" };
  expect(await phpCall(publisher, { method: "GET", path: "/channels", query: list })).toEqual({
    status: 200,
    body: '{"channels":{"php-a":{"subscription_count":1},"php-b":{"subscription_count":1}}}',
  });
  const none = { filter_by_prefix: "no such channel+" };
  expect(await phpCall(publisher, { method: "GET", path: "/channels", query: none })).toEqual({
    status: 200,
    body: '{"channels":{}}',
  });
  // The SDK signs the path as it is, and its HTTP library escapes it.
  for (const user of ["u1", "ü ä", "a+b", "50%"]) {
    const answer = await phpCall(publisher, { path: `/users/${user}/terminate_connections`, body: "{}" });
    expect(answer, user).toEqual({ status: 200, body: "{}" });
  }
  client.socket.close();
});

test("the Python SDK sends the MD5 of nothing with GET, and names no app to terminate", async () => {
  const call = { method: "GET", path: `/apps/${demoApp.id}/channels`, hasMd5: true };
  const md5 = "body_md5=d41d8cd98f00b204e9800998ecf8427e";

  expect(signedTarget(call)).toContain(md5);
  expect((await signedCall(publisher, call)).status).toBe(200);
  const terminate = { path: "/users/u1/terminate_connections", body: "{}" };
  expect(await signedCall(publisher, terminate)).toEqual({ status: 200, body: {} });
});

test("the Ruby SDK signs escaped paths and repeated arrays", async () => {
  const path = `/apps/${demoApp.id}/users/${encodeURIComponent("ü ä/1")}/terminate_connections`;
  const sent = (target: string) => target.replaceAll("%25", "%");

  expect(await signedCall(publisher, { path, body: "{}", sent })).toEqual({ status: 200, body: {} });
  const query = { name: "n", data: "x", "channels[]": "ruby" };
  expect(await signedCall(publisher, { path: `/apps/${demoApp.id}/events`, params: query })).toEqual({
    status: 200,
    body: {},
  });
});

test("Laravel sends an event with a null socket id", async () => {
  const body = JSON.stringify({
    name: "App\\Events\\Paid",
    data: "{}",
    channels: ["private-orders.7"],
    socket_id: null,
  });

  expect(await signedCall(publisher, { path: `/apps/${demoApp.id}/events`, body })).toEqual({ status: 200, body: {} });
});
