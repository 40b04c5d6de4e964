import { isHeaderName, isTopic, isTopicPattern } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseCommand } from "./fanwire-commands.ts";

const parse = (message: unknown) => parseCommand(JSON.stringify(message));

test("every command is parsed", () => {
  expect(parse({ id: 1, command: "ping" })).toEqual({ ok: true, id: "1", command: { command: "ping" } });
  expect(parse({ id: "a", command: "subscribe", topic: "a.*", since: "x-1", more: 1 })).toEqual({
    ok: true,
    id: '"a"',
    command: { command: "subscribe", topic: "a.*", since: "x-1", isPresent: undefined },
  });
  for (const isPresent of [true, false]) {
    const command = { command: "subscribe", topic: "a", since: undefined };
    expect(parse({ id: 3, ...command, presence: isPresent })).toMatchObject({ command: { ...command, isPresent } });
  }
  for (const command of [
    { command: "unsubscribe", topic: "a" },
    { command: "refresh", token: "t", since: "x-1" },
    { command: "refresh", token: "t", since: undefined },
    { command: "publish", topic: "a", data: "", event: "e" },
    { command: "publish", topic: "a", data: "x", event: undefined },
  ]) {
    expect(parse({ id: 2, ...command })).toEqual({ ok: true, id: "2", command });
  }
});

test.each(["9007199254740993", "-0", "1.0", "1e2", "0.1000000000000000055", "12345678901234567890.5", "1e-400"])(
  "the id %s is repeated exactly, at any place in the message",
  (id) => {
    for (const text of [`{"id":${id},"command":"ping"}`, `{"command":"ping","x":{"id":3}, "id" : ${id} }`]) {
      expect(parseCommand(text), text).toMatchObject({ ok: true, id });
    }
  },
);

test("an id has at most 64 characters", () => {
  for (const id of [JSON.stringify("x".repeat(64)), `0.${"1".repeat(62)}`]) {
    expect(parseCommand(`{"id":${id},"command":"ping"}`)).toMatchObject({ ok: true, id });
  }
});

test("a message without an id or command cannot be answered", () => {
  for (const text of [
    "",
    "x",
    "1",
    "null",
    "[]",
    "{}",
    '{"id":1}',
    '{"command":"ping"}',
    '{"id":null,"command":"ping"}',
    '{"id":1e999,"command":"ping"}',
    `{"id":0.${"1".repeat(63)},"command":"ping"}`,
    `{"id":"${"x".repeat(65)}","command":"ping"}`,
  ]) {
    expect(parseCommand(text), text).toEqual({ ok: false, id: undefined });
  }
});

test.each([
  [{ command: "fly" }, "unknown-command"],
  [{ command: "subscribe" }, "invalid"],
  [{ command: "subscribe", topic: "" }, "invalid"],
  [{ command: "subscribe", topic: "a.>.b" }, "invalid"],
  [{ command: "subscribe", topic: "a", since: 1 }, "invalid"],
  [{ command: "subscribe", topic: "a", presence: 1 }, "invalid"],
  [{ command: "subscribe", topic: "a.*", presence: true }, "invalid"],
  [{ command: "unsubscribe", topic: 5 }, "invalid"],
  [{ command: "publish", topic: "a.*", data: "x" }, "invalid"],
  [{ command: "publish", topic: "a" }, "invalid"],
  [{ command: "publish", topic: "a", data: "\ud800" }, "invalid"],
  [{ command: "publish", topic: "a", data: "x", event: "a\r\nExcept: b" }, "invalid"],
  [{ command: "publish", topic: "a", data: "x", event: "fanwire.close" }, "invalid"],
  [{ command: "publish", topic: "a", data: "x", event: "fanwire.event.error" }, "invalid"],
  [{ command: "refresh", token: null }, "invalid"],
  [{ command: "refresh", token: "t", since: 1 }, "invalid"],
])("an invalid command is answered: %j", (message, code) => {
  expect(parse({ id: 7, ...message })).toMatchObject({ ok: false, id: "7", code });
});

test("no message throws, and a parsed command has valid names only", () => {
  const name = fc.oneof(fc.constantFrom("a", "a.*", ">", "a.>.b", "a\r\nb", "\ud800"), fc.string({ unit: "binary" }));
  const anything = fc.jsonValue({ maxDepth: 1 });
  const message = fc.record(
    {
      id: fc.oneof(fc.integer(), fc.string(), fc.constant(null)),
      command: fc.oneof(fc.constantFrom("subscribe", "unsubscribe", "publish", "refresh", "ping"), fc.string()),
      topic: fc.oneof(name, anything),
      data: fc.oneof(name, anything),
      event: fc.oneof(name, anything),
      token: anything,
      since: anything,
    },
    { requiredKeys: ["id", "command"] },
  );
  const damaged = fc.tuple(message, fc.nat(), fc.string({ unit: "binary", maxLength: 3 })).map(([whole, at, noise]) => {
    const text = JSON.stringify(whole);
    const place = at % text.length;
    return text.slice(0, place) + noise + text.slice(place + 1);
  });

  fc.assert(
    fc.property(
      fc.oneof(
        message.map((whole) => JSON.stringify(whole)),
        damaged,
        fc.string(),
      ),
      (text) => {
        const parsed = parseCommand(text);
        if (!parsed.ok) return;
        const { command } = parsed;
        if (command.command === "subscribe" || command.command === "unsubscribe") {
          expect(isTopicPattern(command.topic)).toBe(true);
        }
        if (command.command === "publish") {
          expect(isTopic(command.topic)).toBe(true);
          expect(Buffer.from(command.data).toString()).toBe(command.data);
          if (command.event !== undefined) expect(isHeaderName(command.event)).toBe(true);
        }
      },
    ),
    { numRuns: 10_000 },
  );
});
