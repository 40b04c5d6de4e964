import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSafeTree, phpTree, serializeTree } from "../../test-data/php-tree.ts";
import { allowClasses } from "../php/classes.ts";
import { maxNames, parseRequest } from "./client-message.ts";
import { encodeEvent } from "./server-message.ts";

// The script contains enums.
const hasPhp = spawnSync("php", ["-r", "exit(PHP_VERSION_ID >= 80100 ? 0 : 1);"]).status === 0;

const anyClass = allowClasses(["*"]);

/** Returns a parsed request as plain text, and a refusal unchanged. */
function parse(payload: string) {
  const request = parseRequest(Buffer.from(payload, "latin1"), anyClass);
  if (request.type === "ignored" || request.type === "hostile") return request;
  const channels = request.channels.map(({ key, raw }) => [key, raw.toString("latin1")]);
  return { type: request.type, channels, data: request.data.toString("latin1") };
}

function publish(names: string, data: string): string {
  return `a:3:{s:4:"type";s:7:"publish";s:8:"channels";${names}s:4:"data";${data}}`;
}

describe("parsing a request", () => {
  it.each(["subscribe", "unsubscribe", "watch", "unwatch"])("reads %s with its channels", (type) => {
    const payload = `a:2:{s:4:"type";s:${type.length}:"${type}";s:8:"channels";a:2:{i:0;s:4:"ev-a";i:1;i:5;}}`;

    const channels = [
      ["ev-a", 's:4:"ev-a";'],
      ["5", "i:5;"],
    ];
    expect(parse(payload)).toEqual({ type, channels, data: "N;" });
  });

  it.each(["publish", "publishLoop", "enqueue"])("reads %s with its channels and data", (type) => {
    const payload = `a:3:{s:4:"type";s:${type.length}:"${type}";s:8:"channels";a:1:{i:0;s:1:"c";}s:4:"data";a:1:{i:0;N;}}`;

    expect(parse(payload)).toEqual({ type, channels: [["c", 's:1:"c";']], data: "a:1:{i:0;N;}" });
  });

  it("reads reserve without channels", () => {
    expect(parse('a:1:{s:4:"type";s:7:"reserve";}')).toEqual({ type: "reserve", channels: [], data: "N;" });
    expect(parse('a:2:{s:4:"type";s:7:"reserve";s:8:"channels";a:1:{i:0;a:0:{}}}')).toHaveProperty("type", "reserve");
  });

  it("reads keys in any order, skips unknown ones, and ignores bytes after the end", () => {
    const payload =
      'a:5:{s:4:"data";i:1;s:3:"foo";a:1:{s:4:"type";N;}s:8:"channels";a:1:{s:1:"k";s:1:"c";}i:9;N;s:4:"type";s:7:"publish";}XYZ';

    expect(parse(payload)).toEqual({ type: "publish", channels: [["c", 's:1:"c";']], data: "i:1;" });
  });

  it("uses the last of repeated keys", () => {
    const payload =
      'a:6:{s:4:"type";s:7:"publish";s:8:"channels";a:1:{i:0;s:1:"a";}s:4:"data";i:1;s:8:"channels";a:1:{i:0;s:1:"b";}s:4:"data";i:2;s:4:"type";s:7:"enqueue";}';

    expect(parse(payload)).toEqual({ type: "enqueue", channels: [["b", 's:1:"b";']], data: "i:2;" });
  });

  it("keeps the order, repetitions and form of names", () => {
    const names = 'a:6:{i:0;i:5;i:1;s:1:"5";i:2;d:5.5;i:3;s:2:"05";i:4;N;i:5;b:1;}';

    expect(parse(publish(names, "N;"))).toHaveProperty("channels", [
      ["5", "i:5;"],
      ["5", 's:1:"5";'],
      ["5", "d:5.5;"],
      ["05", 's:2:"05";'],
      ["", "N;"],
      ["1", "b:1;"],
    ]);
  });

  it("resolves names that PHP wrote as references to earlier ones", () => {
    const names = 'a:5:{i:0;s:1:"a";i:1;R:4;i:2;s:1:"b";i:3;R:5;i:4;R:4;}';

    const request = parse(publish(names, 'a:2:{i:0;O:1:"A":0:{}i:1;r:7;}'));

    const channels = ["a", "a", "b", "b", "a"].map((key) => [key, `s:1:"${key}";`]);
    expect(request).toHaveProperty("channels", channels);
    expect(request).toHaveProperty("data", 'a:2:{i:0;O:1:"A":0:{}i:1;r:5;}');
    expect(parse(publish("a:1:{i:0;R:2;}", "N;"))).toEqual({ type: "ignored", reason: "malformed" });
  });

  it("copies neither names nor data", () => {
    const payload = Buffer.from(publish('a:1:{i:0;s:1:"c";}', 's:1:"x";'));

    const request = parseRequest(payload);

    expect("data" in request && request.data.buffer === payload.buffer).toBe(true);
    expect("data" in request && request.channels[0]?.raw.buffer === payload.buffer).toBe(true);
  });

  it("renumbers the references in any data for any number of names and any other keys", () => {
    const safeTree = phpTree.filter(isSafeTree);
    const payload = fc.tuple(safeTree, fc.nat(4), fc.array(safeTree, { maxLength: 2 }), fc.boolean());

    fc.assert(
      fc.property(payload, ([data, nameCount, others, isDataFirst]) => {
        const names = Array.from({ length: nameCount }, (_, index) => `i:${index};s:1:"n";`).join("");
        let slots = 1;
        const entries: Buffer[] = [];
        function add(key: string, value: Buffer, slotsAfter: number): void {
          entries.push(Buffer.from(`s:${key.length}:"${key}";`), value);
          slots = slotsAfter;
        }
        function addData(): void {
          const { bytes, slots: slotsAfter } = serializeTree(data, slots);
          add("data", bytes, slotsAfter);
        }
        for (const other of others) {
          const { bytes, slots: slotsAfter } = serializeTree(other, slots);
          add("other", bytes, slotsAfter);
        }
        if (isDataFirst) addData();
        add("type", Buffer.from('s:7:"publish";'), slots + 1);
        add("channels", Buffer.from(`a:${nameCount}:{${names}}`), slots + 1 + nameCount);
        if (!isDataFirst) addData();
        const head = Buffer.from(`a:${entries.length / 2}:{`);

        const request = parseRequest(Buffer.concat([head, ...entries, Buffer.from("}")]), anyClass);

        expect("data" in request && request.data.toString("latin1")).toBe(
          serializeTree(data, 3).bytes.toString("latin1"),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("never throws, whatever the bytes", () => {
    const grammarLike = fc
      .array(fc.constantFrom(...'aOCERrsSNbid:;"{}0123456789', 's:4:"type";', 's:8:"channels";a:1:{', 's:7:"publish";'))
      .map((parts) => Buffer.from(`a:2:{${parts.join("")}`));

    fc.assert(
      fc.property(fc.oneof(fc.uint8Array().map(Buffer.from), grammarLike), (payload) => {
        expect(parseRequest(payload)).toHaveProperty("type");
      }),
      { numRuns: 10_000 },
    );
  });

  it("returns no request for a truncated message", () => {
    const payload = publish('a:2:{i:0;s:1:"c";i:1;d:1.5;}', 'a:2:{i:0;O:1:"A":0:{}i:1;r:7;}');

    for (let length = 0; length < payload.length; length++) {
      expect(parse(payload.slice(0, length))).toEqual({ type: "ignored", reason: "malformed" });
    }
    expect(parse(payload)).toHaveProperty("type", "publish");
  });
});

// More malformed requests are in the recorded session of captures.test.ts.
describe("a request that is ignored", () => {
  it.each([
    ["", "malformed"],
    ['a:1:{s:4:"type";s:7:"publish";', "malformed"],
    [publish('a:1:{i:0;E:6:"A:Case";}', "N;"), "malformed"],
    ['a:1:{s:4:"type";a:1:{i:0;s:7:"reserve";}}', "unknown-type"],
    ['a:2:{s:4:"type";s:5:"bogus";s:8:"channels";a:1:{i:0;a:0:{}}}', "unknown-type"],
    [publish('O:8:"stdClass":1:{s:1:"a";s:1:"m";}', "N;"), "no-channels"],
    [publish('a:1:{i:0;s:1:"c";}', "a:1:{i:0;R:4;}"), "reference-outside-data"],
    [publish('a:1:{i:0;s:1:"c";}', "a:1:{i:0;r:5;}"), "malformed"],
    [publish('a:1:{i:0;s:1:"c";}', `${"a:1:{i:0;".repeat(600)}N;${"}".repeat(600)}`), "over-limit"],
    [publish(`a:${maxNames + 1}:{${"i:0;N;".repeat(maxNames + 1)}}`, "N;"), "over-limit"],
  ])("%#: has the right reason", (payload, reason) => {
    expect(parse(payload)).toEqual({ type: "ignored", reason });
  });
});

describe("a request with an object of a class that is not allowed", () => {
  it.each([
    [publish('a:1:{i:0;s:1:"c";}', 'a:2:{i:0;O:8:"stdClass":0:{}i:1;O:8:"Dba\\User":0:{}}'), "Dba\\User"],
    ['a:1:{s:3:"foo";a:1:{i:0;O:8:"DateTime":0:{}}}', "DateTime"],
  ])("%#: is ignored, and names the class", (payload, className) => {
    expect(parseRequest(Buffer.from(payload, "latin1"))).toEqual({
      type: "ignored",
      reason: "class-not-allowed",
      className,
    });
  });
});

describe("a request that would end the original server", () => {
  it.each([
    ['S:1:"a";', "string-payload"],
    [publish('a:2:{i:0;s:1:"c";i:1;O:1:"A":0:{}}', "N;"), "name-not-scalar"],
  ])("%#: is reported as hostile", (payload, reason) => {
    expect(parse(payload)).toEqual({ type: "hostile", reason });
  });
});

describe.skipIf(!hasPhp)("compared with PHP itself", () => {
  it("delivers events that are, byte for byte, those of the original", () => {
    const script = new URL("../../test-data/differential.php", import.meta.url).pathname;
    const payloads = runPhp([script, "make"], "");

    const events = payloads.map((payload) => eventsOf(Buffer.from(payload, "hex")).join(" "));
    const wanted = runPhp(
      [script, "check"],
      payloads.map((payload, index) => `${payload} ${events[index]}\n`).join(""),
    );

    expect(payloads.length).toBeGreaterThan(600);
    expect(events).toEqual(wanted);
  });
});

function eventsOf(payload: Buffer): string[] {
  const request = parseRequest(payload, anyClass);
  if (request.type !== "publish") throw new Error(`not a publish: ${request.type}`);
  return request.channels.map(({ raw }) => encodeEvent(raw, request.data)?.toString("hex") ?? "too long");
}

function runPhp(args: string[], input: string): string[] {
  const { stdout, stderr, status } = spawnSync("php", ["-n", "-d", "display_errors=0", ...args], {
    input,
    maxBuffer: 2 ** 28,
    encoding: "latin1",
  });
  expect([status, stderr]).toEqual([0, ""]);
  return stdout.trimEnd().split("\n");
}
