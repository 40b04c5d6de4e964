import fc from "fast-check";
import { expect, test } from "vitest";
import { HeaderBlock } from "./header-block.ts";

function block(...lines: string[]): HeaderBlock {
  return new HeaderBlock(Buffer.from(`NATS/1.0\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`));
}

test("a header is found by its exact name, without the spaces around its value", () => {
  const headers = block("Event:  order shipped ", "event: other", "Trace-Event: no");

  expect(headers.get("Event")).toBe("order shipped");
  expect(headers.get("Id")).toBe("");
});

test.each(["Trace Id: 7", "Überschrift: 7", "no colon", ": no name", "Lone\rReturn: 7", "\u0000: 7"])(
  "a line that nats.js cannot decode disturbs no other: %j",
  (line) => {
    expect(block(line, "Event: a").get("Event")).toBe("a");
  },
);

test("for headers that JetStream appends the last value counts, for others the first", () => {
  const headers = block("Nats-Sequence: 5000000", "Id: 1", "Id: 2", "Nats-Sequence: 7");

  expect(headers.get("Nats-Sequence")).toBe("7");
  expect(headers.get("Id")).toBe("1");
});

test.each(["NATS/1.0\r\nA: b", "NATS/1.0", "NATS/1.0\nA: b", "garbage"])(
  "headers that JetStream appends to a block without an empty line are found: %j",
  (start) => {
    const headers = new HeaderBlock(Buffer.from(`${start}Nats-Stream: S\r\nNats-Sequence: 7\r\n\r\n`));

    expect([headers.get("Nats-Stream"), headers.get("Nats-Sequence")]).toEqual(["S", "7"]);
  },
);

test("all of a block counts, because its text is kept as a whole", () => {
  expect(block("no colon", `Event: ${"x".repeat(60_000)}`).bytes).toBeGreaterThan(60_000);
  expect(block().bytes).toBeLessThan(20);
});

test("replies of the server have a status and a description", () => {
  const headers = new HeaderBlock(Buffer.from("NATS/1.0 409 Consumer Deleted\r\nNats-Pending-Messages: 3\r\n\r\n"));

  expect([headers.status, headers.description]).toEqual([409, "Consumer Deleted"]);
  expect(headers.get("Nats-Pending-Messages")).toBe("3");
  expect(block("Event: a").status).toBe(0);
});

test("any bytes can be searched for any header", () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.string(), (bytes, name) => {
      const headers = new HeaderBlock(bytes);
      expect(typeof headers.get(name)).toBe("string");
      expect(headers.status).toBeLessThan(1_000);
    }),
  );
});
