import { expect, test, vi } from "vitest";
import { pendingTimers, useFakeTime } from "../test-data/fake-time.ts";
import {
  FakeWebSocket,
  pong,
  publication,
  reconnect,
  reconnected,
  record,
  recordOpen,
  settled,
} from "../test-data/fake-web-socket.ts";

const NOW = 1_800_000_000;
useFakeTime({ now: NOW * 1_000 });

const nowSeconds = () => Date.now() / 1_000;
/** Returns a token with a readable payload and an invalid signature. */
const token = (claims: object) => `h.${Buffer.from(JSON.stringify({ sub: "щ?>", ...claims })).toString("base64url")}.s`;
/** Returns a callback whose tokens have this lifetime in seconds. */
const issuer = (lifetime: number) => vi.fn(async () => token({ exp: nowSeconds() + lifetime, n: Math.random() }));
const sentToken = () => FakeWebSocket.last.query.get("token");
const refreshes = () => FakeWebSocket.last.commands.filter(({ command }) => command === "refresh");

test("a token is replaced a minute before it expires, over and over", async () => {
  const ask = issuer(600);
  await recordOpen({ token: ask });

  for (const count of [1, 2, 3]) {
    await vi.advanceTimersByTimeAsync(540_000 - 1);
    expect(refreshes()).toHaveLength(count - 1);
    await vi.advanceTimersByTimeAsync(1);
    expect(refreshes()).toHaveLength(count);
    FakeWebSocket.last.reply("refresh");
    await settled();
  }
  expect(ask).toHaveBeenCalledTimes(4);
  expect(refreshes().at(-1)?.token).toBe(await ask.mock.results.at(-1)?.value);
  expect(FakeWebSocket.all).toHaveLength(1);
});

test("a topic that the new token does not allow is dropped, and onRefused is called", async () => {
  const { refused } = await recordOpen({ token: issuer(600), topics: ["a", "b"] });
  await vi.advanceTimersByTimeAsync(540_000);
  FakeWebSocket.last.reply("refresh", { dropped: ["a"] });
  await reconnect();

  expect(refused).toEqual(["a: forbidden"]);
  expect(FakeWebSocket.last.queriedTopics).toEqual(["b"]);
});

const skewed = async () => token({ iat: nowSeconds() - 7_200, exp: nowSeconds() - 6_600 });

test.each([
  ["with a short lifetime is refreshed before its last fifth", issuer(20), 16_000],
  ["is refreshed in time also by a clock that is wrong by hours", skewed, 540_000],
])("a token %s", async (_, ask, refreshedAt) => {
  await recordOpen({ token: ask });
  await vi.advanceTimersByTimeAsync(refreshedAt - 1);
  expect(refreshes()).toHaveLength(0);
  await vi.advanceTimersByTimeAsync(1);

  expect(refreshes()).toHaveLength(1);
});

test("a refresh that fails is retried until the token expires", async () => {
  const ask = issuer(100);
  await recordOpen({ token: ask });
  ask.mockRejectedValueOnce(new Error("offline"));
  await vi.advanceTimersByTimeAsync(80_000);
  expect(refreshes()).toHaveLength(0);

  await vi.advanceTimersByTimeAsync(16_000);
  FakeWebSocket.last.refuse("refresh", "unavailable");
  await vi.advanceTimersByTimeAsync(4_000);

  expect(refreshes().length).toBeGreaterThanOrEqual(2);
  expect(FakeWebSocket.all).toHaveLength(1);
});

test.each([
  ["that has expired", recordOpen],
  ["that is refused in the handshake", record],
])("a token %s is replaced before the client reconnects", async (_, begin) => {
  const ask = issuer(600);
  await begin({ token: ask });
  const first = sentToken();
  FakeWebSocket.last.end(4401, "the token is not valid");
  await vi.advanceTimersByTimeAsync(1_000);

  expect(FakeWebSocket.all).toHaveLength(2);
  expect(ask).toHaveBeenCalledTimes(2);
  expect(sentToken()).toBe(await ask.mock.results[1]?.value);
  expect(first).toBe(await ask.mock.results[0]?.value);
});

test("an expired token without a callback closes the client", async () => {
  const { states } = await recordOpen({ token: token({ exp: NOW + 600 }) });
  FakeWebSocket.last.end(4401, "the token has expired");
  await vi.advanceTimersByTimeAsync(60_000);

  expect(FakeWebSocket.all).toHaveLength(1);
  expect(states.at(-1)).toMatchObject({ state: "closed", code: 4401 });
});

test("a valid token is used for the next connection too", async () => {
  const ask = issuer(3_600);
  await record({ token: ask });
  for (let at = 0; at < 5; at++) {
    FakeWebSocket.last.end();
    await reconnected();
  }
  FakeWebSocket.last.welcome();
  FakeWebSocket.last.end(1012);
  await vi.advanceTimersByTimeAsync(30_000);

  expect(FakeWebSocket.all).toHaveLength(7);
  expect(ask).toHaveBeenCalledTimes(1);
});

test("a token about to expire is not used for another connection", async () => {
  const ask = issuer(60);
  await recordOpen({ token: ask });
  await vi.advanceTimersByTimeAsync(47_000);
  vi.setSystemTime(Date.now() + 4_000);
  FakeWebSocket.last.end(1012);
  await vi.advanceTimersByTimeAsync(1_000);

  expect(ask).toHaveBeenCalledTimes(2);
});

test("without a token the client retries later, and reports the reason", async () => {
  const ask = issuer(600);
  ask.mockRejectedValueOnce(new Error("offline"));
  const { states } = await record({ token: ask });

  expect(FakeWebSocket.all).toHaveLength(0);
  expect(states.at(-1)).toMatchObject({ state: "waiting", reason: "no token: Error: offline" });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(FakeWebSocket.all).toHaveLength(1);
});

test("a token without a near expiry is not refreshed", async () => {
  for (const ask of [async () => "opaque", async () => token({}), async () => token({ exp: "x" }), () => "h..s"]) {
    await recordOpen({ token: ask });
    const before = FakeWebSocket.last.commands.length;
    await vi.advanceTimersByTimeAsync(1);
    expect(FakeWebSocket.last.commands).toHaveLength(before);
    expect(refreshes()).toHaveLength(0);
  }
  await recordOpen({ token: async () => token({ exp: NOW * 100 }) });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(refreshes()).toHaveLength(0);
});

test("a client that is closed while it waits for a token does not connect, and leaves no timer", async () => {
  let give: (token: string) => void = () => {};
  const { client } = await record({ token: () => new Promise((resolve) => (give = resolve)) });
  client.close();
  expect(pendingTimers()).toBe(0);
  give("t");
  await settled();

  expect(FakeWebSocket.all).toHaveLength(0);
});

test("a token callback that never settles times out and is called again, for a refresh as well", async () => {
  let asked = 0;
  const ask = () => {
    asked++;
    return asked === 1 || asked === 3 ? new Promise<string>(() => {}) : token({ iat: NOW, exp: NOW + 600 });
  };
  const { client, states } = await record({ token: async () => ask() });
  await vi.advanceTimersByTimeAsync(9_999);
  expect(states).toEqual([{ state: "connecting" }]);
  await vi.advanceTimersByTimeAsync(1);
  expect(states.at(-1)).toMatchObject({ state: "waiting", reason: expect.stringContaining("timed out") });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked).toBe(2);
  FakeWebSocket.last.welcome();

  await vi.advanceTimersByTimeAsync(600_000);
  expect(asked).toBeGreaterThanOrEqual(4);
  expect(refreshes().length).toBeGreaterThanOrEqual(1);
  client.close();
});

test("a callback that returns no token connects without one, and one that returns no text is called again", async () => {
  for (const nothing of [undefined, null, "", " \n"]) {
    await record({ token: async () => nothing as string });
    expect(FakeWebSocket.last.query.has("token")).toBe(false);
  }

  const { states } = await record({ token: async () => ({ token: "t" }) as unknown as string });
  expect(states.at(-1)).toMatchObject({
    state: "waiting",
    reason: "no token: FanwireError: token must be of type string",
  });
});

test("a token is trimmed, because the text of a response may end with a line break", async () => {
  for (const ask of [" h.c.s\r\n", async () => "h.c.s\n"]) {
    await record({ token: ask });
    expect(sentToken()).toBe("h.c.s");
  }
  await record({ token: `${"x".repeat(600)}\n` });
  expect(FakeWebSocket.last.protocol).toEqual(["fanwire.v1", `token.${"x".repeat(600)}`]);
});

test("a refresh does not wait behind publications", async () => {
  const { client } = await recordOpen({ token: async () => token({ iat: NOW, exp: NOW + 600 }) });
  await vi.advanceTimersByTimeAsync(539_000);
  for (let at = 0; at < 900; at++) client.publish("chat", String(at)).catch(() => {});

  await vi.advanceTimersByTimeAsync(2_000);

  expect(refreshes()).toHaveLength(1);
  client.close();
});

test("a token of up to 512 characters is sent in the query, of up to 4 KiB as a subprotocol", async () => {
  for (const short of ["h.c.s", "x".repeat(512)]) {
    await record({ token: short });
    expect(FakeWebSocket.last.protocol).toBe("fanwire.v1");
    expect(FakeWebSocket.last.query.get("token")).toBe(short);
  }
  for (const long of [`${"h".repeat(511)}.~`, "x".repeat(4_096)]) {
    await record({ token: long, topics: ["a"] });
    expect(FakeWebSocket.last.protocol).toEqual(["fanwire.v1", `token.${long}`]);
    expect(Object.fromEntries(FakeWebSocket.last.query)).toEqual({ topic: "a" });
  }
});

test.each([
  ["of more than 4 KiB", "x".repeat(4_097)],
  ["with other characters", `${"x".repeat(600)} y`],
])("a token %s is sent as the first command, and topics are subscribed to after it", async (_, long) => {
  const { states } = await recordOpen({ token: long, topics: ["a"], since: "e-3" }, { recovered: true });

  expect(FakeWebSocket.last.protocol).toBe("fanwire.v1");
  expect(Object.fromEntries(FakeWebSocket.last.query)).toEqual({ since: "e-3" });
  expect(FakeWebSocket.last.commands).toMatchObject([
    { command: "refresh", token: long, since: "e-3" },
    { command: "subscribe", topic: "a", since: "e-3" },
  ]);
  FakeWebSocket.last.reply("refresh", { recovered: true, position: "e-3" });
  FakeWebSocket.last.reply("subscribe", { recovered: true, position: "e-3" });
  await settled();
  expect(states.at(-1)).toMatchObject({ state: "open", recovered: true });
});

test("publications of the user that catch up after the first command are resumed from their own position", async () => {
  const { client } = await recordOpen({ token: "x".repeat(5_000), since: "e-3" }, { recovered: true });
  FakeWebSocket.last.reply("refresh", { recovered: true, position: "e-3" });
  FakeWebSocket.last.deliver(publication({ since: "e-5", recovered: true }), publication({ position: "e-9" }));
  expect(client.position).toBe("e-5");
  await reconnect({ recovered: true });
  expect(FakeWebSocket.last.query.get("since")).toBe("e-9");
  expect(refreshes()).toMatchObject([{ since: "e-5" }]);

  FakeWebSocket.last.reply("refresh", { recovered: true, position: "e-5" });
  FakeWebSocket.last.deliver(pong({ position: "e-10" }));
  await reconnect({ recovered: true });
  expect(refreshes()).toMatchObject([{ since: "e-10" }]);
});

test.each([
  [
    "when the connection breaks before the reply to the first command",
    () => {
      FakeWebSocket.last.deliver(publication({ position: "e-9" }));
      FakeWebSocket.last.end();
    },
  ],
  [
    "after a refused token whose connection was live",
    () => {
      FakeWebSocket.last.refuse("refresh", "unauthorized");
      FakeWebSocket.last.deliver(pong({ position: "e-9" }));
    },
  ],
])("publications to the user are resumed, also %s", async (_, lose) => {
  await recordOpen({ token: async () => "x".repeat(5_000), since: "e-3" }, { recovered: true });
  lose();
  await reconnected();
  FakeWebSocket.last.welcome({ recovered: true });
  await settled();

  expect(FakeWebSocket.last.query.get("since")).toBe("e-9");
  expect(refreshes()).toMatchObject([{ since: "e-3" }]);
});

test("a user that catches up resumes from its own position, also with a token that has become short", async () => {
  const tokens = ["x".repeat(5_000), "short", "short"];
  await recordOpen({ token: async () => tokens.shift() ?? "", since: "e-3" }, { recovered: true });
  FakeWebSocket.last.reply("refresh", { recovered: true, position: "e-3" });
  FakeWebSocket.last.deliver(publication({ position: "e-9" }), publication({ since: "e-5", recovered: true }));

  await reconnect({ recovered: true }, 4401);
  expect(refreshes()).toMatchObject([{ token: "short", since: "e-5" }]);
  FakeWebSocket.last.reply("refresh", { recovered: true, position: "e-5" });
  FakeWebSocket.last.deliver(pong({ position: "e-10" }));

  await reconnect({ recovered: true }, 4401);
  expect(Object.fromEntries(FakeWebSocket.last.query)).toEqual({ token: "short", since: "e-10" });
});

test("a first command with a refused token requests another token; one that cannot be verified is retried", async () => {
  const ask = vi.fn(async () => "x".repeat(5_000));
  const { states } = await record({ token: ask });
  for (const [code, calls] of [
    ["unavailable", 1],
    ["unauthorized", 2],
  ] as const) {
    FakeWebSocket.last.welcome();
    await settled();
    FakeWebSocket.last.refuse("refresh", code);
    await reconnected();
    expect(ask).toHaveBeenCalledTimes(calls);
  }
  const codes = states.flatMap((state) => (state.state === "waiting" ? [state.code] : []));
  expect(codes).toEqual([1006, 4401]);
});
