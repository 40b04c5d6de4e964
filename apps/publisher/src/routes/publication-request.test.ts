import { Subjects } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { describeIssues } from "../http/validation-errors.ts";
import { publicationFields, publicationRequest } from "./publication-request.ts";

const everyone = { everyone: true };

test("a request becomes a publication", () => {
  expect(publicationRequest.parse({ target: everyone, data: "привет" })).toEqual({
    publications: [{ target: { kind: "everyone" }, content: Buffer.from("привет") }],
    isDurable: false,
    wantsReceipt: false,
  });
  expect(
    publicationRequest.parse({
      target: { connection: "abcdefgh.7" },
      data: "/wA=",
      encoding: "base64",
      event: "order.paid",
      id: "1",
      except: "hgfedcba.1",
    }),
  ).toEqual({
    publications: [
      {
        target: { kind: "connection", connection: { workerId: "abcdefgh", connectionId: 7 } },
        content: Buffer.from([0xff, 0x00]),
        event: "order.paid",
        id: "1",
        except: { workerId: "hgfedcba", connectionId: 1 },
      },
    ],
    isDurable: false,
    wantsReceipt: false,
  });
});

test("a target is a topic, several topics or a user, and may be durable", () => {
  const targetsOf = (target: unknown) =>
    publicationRequest.parse({ target, data: "x", durable: true }).publications.map((each) => each.target);

  expect(targetsOf({ topic: "orders/7.ж" })).toEqual([{ kind: "topic", topic: "orders/7.ж" }]);
  expect(targetsOf({ topics: ["b", "a"] })).toEqual([
    { kind: "topic", topic: "b" },
    { kind: "topic", topic: "a" },
  ]);
  expect(targetsOf({ user: "*" })).toEqual([{ kind: "user", user: "*" }]);
  expect(publicationRequest.parse({ target: everyone, data: "x", durable: true }).isDurable).toBe(true);
  expect(publicationRequest.parse({ target: everyone, data: "x", durable: false }).isDurable).toBe(false);
});

test("a receipt is returned only on request", () => {
  const wants = (receipt: boolean) => publicationRequest.parse({ target: everyone, data: "x", receipt }).wantsReceipt;

  expect([wants(true), wants(false)]).toEqual([true, false]);
});

test("content may be empty, long and have any characters", () => {
  for (const data of ["", "\u0000", "😀", "x".repeat(1_000_000)]) {
    const [publication] = publicationRequest.parse({ target: everyone, data }).publications;
    expect(Buffer.from(data).equals(publication?.content ?? Buffer.from("nothing"))).toBe(true);
  }
});

const wrong: [name: string, request: unknown, field: string | undefined, message: RegExp][] = [
  ["a number", 7, undefined, /must be an object/],
  ["null", null, undefined, /must be an object/],
  ["no target", { data: "x" }, "target", /is missing; it must be one of {"everyone": true}, {"topic"/],
  ["a target that is text", { target: "all", data: "x" }, "target", /must be one of/],
  ["an empty target", { target: {}, data: "x" }, "target", /must be one of/],
  ["an unknown kind of target", { target: { group: "news" }, data: "x" }, "target", /must be one of .*: "group"$/],
  ["a misspelt target", { target: { Topik: "a" }, data: "x" }, "target", /"Topik" \(did you mean "topic"\?\)/],
  ["a pattern", { target: { topic: "news.*" }, data: "x" }, "target.topic", /not a pattern/],
  ["no topic of several", { target: { topics: [] }, data: "x" }, "target.topics", /at least one/],
  [
    "too many topics",
    { target: { topics: Array.from({ length: 101 }, (_, at) => `t${at}`) }, data: "x" },
    "target.topics",
    /at most 100/,
  ],
  ["a topic twice", { target: { topics: ["a", "a"] }, data: "x" }, "target.topics", /twice/],
  ["a pattern among topics", { target: { topics: ["a", ">"] }, data: "x" }, "target.topics.1", /not a pattern/],
  ["an empty user", { target: { user: "" }, data: "x" }, "target.user", /1 to 255 bytes/],
  [
    "durable to a connection",
    { target: { connection: "abcdefgh.1" }, data: "x", durable: true },
    "durable",
    /cannot be true for a connection/,
  ],
  ["durable as text", { target: everyone, data: "x", durable: "yes" }, "durable", /true or false/],
  ["a receipt as text", { target: everyone, data: "x", receipt: "yes" }, "receipt", /true or false/],
  ["two targets", { target: { everyone: true, connection: "abcdefgh.1" }, data: "x" }, "target", /must be one of/],
  ["not everyone", { target: { everyone: false }, data: "x" }, "target.everyone", /must be true/],
  [
    "a malformed address",
    { target: { connection: "worker.2" }, data: "x" },
    "target.connection",
    /must be a connection address/,
  ],
  [
    "an address that is a number",
    { target: { connection: 12 }, data: "x" },
    "target.connection",
    /must be the address/,
  ],
  ["no data", { target: everyone }, "data", /is missing; send text or any JSON value/],
  ["an object as base64", { target: everyone, data: {}, encoding: "base64" }, "data", /must be text, because/],
  ["half a surrogate pair", { target: everyone, data: "a\ud83d" }, "data", /surrogate/],
  ["an unknown encoding", { target: everyone, data: "x", encoding: "hex" }, "encoding", /"utf8" or "base64"/],
  ["base64 without padding", { target: everyone, data: "AP8", encoding: "base64" }, "data", /must be base64/],
  ["base64 of the URL alphabet", { target: everyone, data: "_-8=", encoding: "base64" }, "data", /must be base64/],
  ["base64 with a line break", { target: everyone, data: "AP\n8=", encoding: "base64" }, "data", /must be base64/],
  ["base64 with stray bits", { target: everyone, data: "AP9=", encoding: "base64" }, "data", /must be base64/],
  ["an empty event", { target: everyone, data: "x", event: "" }, "event", /1 to 255 bytes/],
  ["an event that ends its header", { target: everyone, data: "x", event: "a\r\nExcept: b" }, "event", /control/],
  ["an id with an outer space", { target: everyone, data: "x", id: " 1" }, "id", /no space/],
  ["an id that is a number", { target: everyone, data: "x", id: 1 }, "id", /must be text/],
  [
    "a malformed exception",
    { target: everyone, data: "x", except: "abcdefgh" },
    "except",
    /must be a connection address/,
  ],
  [
    "a similar field",
    { target: everyone, data: "x", receipts: 1 },
    undefined,
    /"receipts" \(did you mean "receipt"\?\)/,
  ],
  [
    "a shortened field",
    { target: everyone, data: "x", encode: "utf8" },
    undefined,
    /"encode" \(did you mean "encoding"\?\)/,
  ],
  ["an unknown field", { target: everyone, data: "x", priority: 1 }, undefined, /unknown fields: "priority"$/],
  ["a target's field", { topic: "a", data: "x" }, undefined, /"topic" \(belongs into `target`/],
  ["data by another name", { target: everyone, content: "x" }, undefined, /"content" \(the content is `data`\)/],
  ["a name of all objects", { target: everyone, data: "x", constructor: 1 }, undefined, /: "constructor"$/],
  ["a prototype", JSON.parse('{"target":{"everyone":true},"data":"x","__proto__":{}}'), undefined, /__proto__/],
];

test.each(wrong)("refused with a reason: %s", (_name, request, field, message) => {
  const { success, error } = publicationRequest.safeParse(request);

  expect(success).toBe(false);
  expect(describeIssues(error?.issues ?? [], { index: 3, known: publicationFields })).toContainEqual({
    index: 3,
    ...(field !== undefined && { field }),
    message: expect.stringMatching(message),
  });
});

test("no request throws or is published to a subject of another target", () => {
  const subjects = new Subjects();
  const name = fc.oneof(
    fc.constantFrom(
      "a",
      "a.*",
      ">",
      "*",
      "a.>.b",
      "a b",
      "a\r\nPUB fanwire.control.workers 0\r\n",
      "\ud800",
      "k3v9x2ab.17",
    ),
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.jsonValue(),
  );
  const header = fc.oneof({ weight: 4, arbitrary: fc.constant("order.paid") }, name);
  const target = fc.oneof(
    fc.constant(everyone),
    fc.record({ topic: name }),
    fc.record({ topics: fc.array(name, { maxLength: 3 }) }),
    fc.record({ user: name }),
    fc.record({ connection: name }),
    fc.jsonValue(),
  );
  const request = fc.record(
    {
      target,
      data: fc.oneof({ weight: 4, arbitrary: fc.string({ unit: "binary" }) }, fc.jsonValue()),
      encoding: fc.constantFrom("utf8", "utf8", "base64", "hex"),
      event: header,
      id: header,
      except: fc.oneof({ weight: 4, arbitrary: fc.constant("k3v9x2ab.17") }, name),
      durable: fc.boolean(),
    },
    { requiredKeys: ["target", "data"] },
  );

  let accepted = 0;
  fc.assert(
    fc.property(fc.oneof({ weight: 9, arbitrary: request }, fc.jsonValue()), (sent) => {
      const { data, error } = publicationRequest.safeParse(sent);
      if (error !== undefined) describeIssues(error.issues);
      for (const publication of data?.publications ?? []) {
        accepted++;
        expect(subjects.parseLive(subjects.live(publication.target))).toEqual(publication.target);
        for (const header of [publication.event, publication.id]) expect(header ?? "").not.toMatch(/[\r\n\0]/);
      }
    }),
    { numRuns: 10_000 },
  );
  expect(accepted).toBeGreaterThan(100);
});

test.each([
  ["", "must be 1 to 255 bytes"],
  ["a\nb", "must be 1 to 255 bytes"],
  ["fanwire.closing", "must not begin with fanwire."],
])("the event %j has one reason for which it is refused", (event, reason) => {
  const { error } = publicationRequest.safeParse({ target: everyone, data: "x", event });
  expect(describeIssues(error?.issues ?? [], { known: publicationFields })).toEqual([
    { field: "event", message: expect.stringContaining(reason) },
  ]);
});
