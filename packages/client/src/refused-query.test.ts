import { expect, test } from "vitest";
import { useFakeTime } from "../test-data/fake-time.ts";
import { FakeWebSocket, reconnect, reconnected, record, recordOpen, settled } from "../test-data/fake-web-socket.ts";

useFakeTime();

const queried = () => FakeWebSocket.last.queriedTopics;
const subscribes = () => FakeWebSocket.last.commands.filter(({ command }) => command === "subscribe");

test.each([4400, 4403])("a topic that is refused with %i before the welcome is refused alone", async (code) => {
  const { client, refused, states } = await recordOpen({ topics: ["a"] }, { position: "e-10" });
  FakeWebSocket.last.end();
  const allowed = client.subscribe("b");
  const outcome = expect(client.subscribe("secret")).rejects.toMatchObject({ code: "forbidden" });
  await reconnected();
  expect(queried()).toEqual(["a", "b", "secret"]);
  await reconnect({ recovered: true }, code);

  // "a" was accepted before, but the token may be another one now.
  expect(queried()).toEqual([]);
  expect(subscribes()).toMatchObject(["a", "b", "secret"].map((topic) => ({ topic, since: "e-10" })));
  FakeWebSocket.last.refuse("subscribe", "forbidden");
  await outcome;
  for (const { id } of subscribes().slice(0, 2)) FakeWebSocket.last.deliver({ type: "reply", id, ok: true });
  await allowed;

  await settled();
  expect(refused).toEqual(["secret: forbidden"]);
  expect(states.at(-1)).toMatchObject({ state: "open" });
  await reconnect();
  expect(queried()).toEqual(["a", "b"]);
});

test("a refused topic of the options closes the client, and so does a query without topics", async () => {
  for (const topics of [["a"], []]) {
    const { client, states } = await record({ topics });
    FakeWebSocket.last.end(4403, "not authorized for this topic");

    expect(client.state).toBe("closed");
    expect(states.at(-1)).toMatchObject({ code: 4403, reason: "not authorized for this topic" });
  }
});

test("a refused query is sent again, without the topics that are no options", async () => {
  const { client } = await record({ topics: ["a"] });
  const outcome = expect(client.subscribe("b")).rejects.toMatchObject({ code: "closed" });
  FakeWebSocket.last.end();
  await reconnected();
  FakeWebSocket.last.end(4403);
  await reconnected();
  expect(queried()).toEqual(["a"]);
  FakeWebSocket.last.end(4403);

  await outcome;
  expect(client.state).toBe("closed");
});

test("a topic without a UTF-8 form is left to a command, because a query would name another topic", async () => {
  const { client } = await record({ topics: ["\ud800", "a"] });
  const outcome = expect(client.subscribe("\ud800")).rejects.toMatchObject({ code: "invalid" });
  expect(queried()).toEqual(["a"]);
  FakeWebSocket.last.welcome();
  await settled();

  expect(subscribes()).toMatchObject([{ topic: "\ud800" }]);
  FakeWebSocket.last.refuse("subscribe", "invalid");
  await outcome;
});
