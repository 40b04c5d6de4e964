import { signinSignature } from "@fanwire/pusher-protocol";
import { expect, test } from "vitest";
import { subjects } from "../support/bus.ts";
import { postPublication } from "../support/http-api.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher, connectPusherJs, type PusherClient, signer } from "../support/pusher-client.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const {
  bus,
  pushers: [one, two],
  publisher,
} = useCluster({ pusher: pusherAppsEnv({ ...demoApp, authorizedWithinSeconds: 3 }) });

async function signIn(client: PusherClient, data: Record<string, unknown>, as = client) {
  client.send({ event: "pusher:signin", data: signer().authenticateUser(as.socketId, data as { id: string }) });
  return until("the answer to signin", () => client.frames.find(({ event }) => /signin_success|error/.test(event)));
}

async function publishToUser(user: string, content: string): Promise<void> {
  await bus.publish(subjects.live({ kind: "user", user }), Buffer.from(content), [["Event", "note"]]);
}

async function closeUser(user: string, code?: 4009 | 4200): Promise<void> {
  const request = JSON.stringify({ command: "close-user", user, ...(code !== undefined && { code }) });
  await bus.gather(subjects.allWorkers, Buffer.from(request), { stallMs: 300, maxWaitMs: 2_000 });
}

test("pusher-js signs in, receives what is published to its user, and does not reconnect when it is terminated", async () => {
  using pusher = await connectPusherJs(one.url, { user: { id: "ann" } });
  const notes: unknown[] = [];
  pusher.user.bind("note", (data: unknown) => notes.push(data));

  pusher.signin();
  await pusher.user.signinDonePromise;
  expect(await postPublication(publisher, { target: { user: "ann" }, event: "note", data: "hello" })).toMatchObject({
    status: 200,
  });
  await until("the note", () => notes.length > 0);
  await publishToUser("bob", "not for ann");
  await publishToUser("ann", "last");
  await until("the last note", () => notes.includes("last"));
  await closeUser("ann", 4009);

  await until("pusher-js is disconnected", () => pusher.connection.state === "disconnected");
  expect(notes).toEqual(["hello", "last"]);
});

test("a user is closed with the code of the request, and connections of other protocols stay", async () => {
  const first = await connectPusher(one.url);
  const second = await connectPusher(two.url);
  const other = await connectPusher(two.url);
  for (const client of [first, second]) await signIn(client, { id: "carl" });
  await signIn(other, { id: "dora" });
  const raw = await connectRawClient(one.url);

  await closeUser("carl", 4200);

  await until("both are closed", () => first.close && second.close);
  expect([first.close?.code, second.close?.code]).toEqual([4200, 4200]);
  expect(first.frames.some(({ event }) => event === "pusher:error")).toBe(false);
  await closeUser("dora");
  await until("the other user is closed", () => other.close);
  expect(other.close?.code).toBe(4009);
  expect(other.frames.at(-1)).toEqual({
    event: "pusher:error",
    data: { code: 4009, message: "closed by the application" },
  });
  expect(raw.close).toBeUndefined();
});

test("a signature of another connection, and a second user, are refused", async () => {
  const client = await connectPusher(one.url);
  const other = await connectPusher(one.url);

  expect(await signIn(client, { id: "eve" }, other)).toMatchObject({ event: "pusher:error", data: { code: 4009 } });
  expect(await signIn(other, { id: "fred" })).toMatchObject({
    event: "pusher:signin_success",
    data: { user_data: '{"id":"fred"}' },
  });
  other.send({ event: "pusher:signin", data: signer().authenticateUser(other.socketId, { id: "gina" }) });
  expect((await other.next("pusher:error")).data).toMatchObject({ code: 4009 });
  await publishToUser("gina", "not for fred");
  await publishToUser("fred", "for fred");

  expect(await other.next("note")).toEqual({ event: "note", channel: "#server-to-user-fred", data: "for fred" });
  expect(client.close).toBeUndefined();
});

test("only the signed-in user subscribes to its channel", async () => {
  const client = await connectPusher(one.url);

  expect(await client.subscribe("#server-to-user-hans")).toMatchObject({
    event: "pusher:subscription_error",
    data: { type: "AuthError", status: 401 },
  });
  await signIn(client, { id: "hans" });
  expect(await client.subscribe("#server-to-user-hans")).toMatchObject({
    event: "pusher_internal:subscription_succeeded",
    data: "{}",
  });
  expect((await client.subscribe("#server-to-user-ida")).event).toBe("pusher:subscription_error");
});

test.each([
  ["no data", undefined],
  ["no user_data", { auth: "a:b" }],
  ["user_data that is no text", { auth: "a:b", user_data: { id: "x" } }],
  ["auth that is no text", { auth: 1, user_data: "{}" }],
])("a signin with %s is answered with an error", async (_what, data) => {
  const client = await connectPusher(one.url);

  client.send({ event: "pusher:signin", data });

  expect((await client.next("pusher:error")).data).toMatchObject({ code: null });
});

test.each(["{}", '{"id":""}', '{"id":1}', `{"id":"${"x".repeat(129)}"}`, "[]", "1", "x", '{"id":"app/other/user"}'])(
  "the signed user data %s names no user",
  async (text) => {
    const client = await connectPusher(one.url);
    const signature = signinSignature(demoApp.secret, client.socketId, text);

    client.send({ event: "pusher:signin", data: { auth: `${demoApp.key}:${signature}`, user_data: text } });

    expect((await client.next("pusher:error")).data).toMatchObject({ code: null });
  },
);

test("a connection that authorizes itself too late is closed, and others stay", async () => {
  const idle = await connectPusher(one.url);
  const subscribed = await connectPusher(one.url);
  const signedIn = await connectPusher(one.url);
  await subscribed.subscribe("private-x");
  await signIn(signedIn, { id: "joe" });
  await idle.subscribe("public");

  await until("the close", () => idle.close);

  expect(idle.close?.code).toBe(4009);
  await Promise.all([subscribed.settle(), signedIn.settle()]);
});
