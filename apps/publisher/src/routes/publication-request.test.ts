import { Subjects } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { describeIssues } from "../http/validation-errors.ts";
import { publicationFields, publicationRequest } from "./publication-request.ts";

const everyone = { everyone: true };
/** A valid request apart from these fields. */
const requestWith = (fields: object) => ({ target: everyone, data: "x", ...fields });

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

test("a target is a topic, several topics or a user, also of a durable publication", () => {
  const targetsOf = (target: unknown) =>
    publicationRequest.parse({ target, data: "x", durable: true }).publications.map((each) => each.target);

  expect(targetsOf({ topic: "orders/7.ж" })).toEqual([{ kind: "topic", topic: "orders/7.ж" }]);
  expect(targetsOf({ topics: ["b", "a"] })).toEqual([
    { kind: "topic", topic: "b" },
    { kind: "topic", topic: "a" },
  ]);
  expect(targetsOf({ user: "*" })).toEqual([{ kind: "user", user: "*" }]);
});

test("a publication is durable only on request, and so is a receipt", () => {
  for (const asked of [true, false]) {
    expect(publicationRequest.parse(requestWith({ durable: asked })).isDurable).toBe(asked);
    expect(publicationRequest.parse(requestWith({ receipt: asked })).wantsReceipt).toBe(asked);
  }
});

test("content may be empty, long and have any characters", () => {
  for (const data of ["", "\u0000", "😀", "x".repeat(1_000_000)]) {
    const [publication] = publicationRequest.parse({ target: everyone, data }).publications;
    expect(Buffer.from(data).equals(publication?.content ?? Buffer.from("nothing"))).toBe(true);
  }
});

const toConnection = (connection: unknown) => requestWith({ target: { connection } });
const tooMany = Array.from({ length: 101 }, (_, at) => `t${at}`);
const wrong: [name: string, request: unknown, field: string | undefined, message: RegExp][] = [
  ["a number", 7, undefined, /must be an object/],
  ["null", null, undefined, /must be an object/],
  ["no target", { data: "x" }, "target", /is missing; it must be one of {"everyone": true}, {"topic"/],
  ["a target that is text", requestWith({ target: "all" }), "target", /must be one of/],
  ["an empty target", requestWith({ target: {} }), "target", /must be one of/],
  ["an unknown kind of target", requestWith({ target: { group: "news" } }), "target", /must be one of .*: "group"$/],
  ["a misspelt target", requestWith({ target: { Topik: "a" } }), "target", /"Topik" \(did you mean "topic"\?\)/],
  ["a pattern", requestWith({ target: { topic: "news.*" } }), "target.topic", /not a pattern/],
  ["no topic of several", requestWith({ target: { topics: [] } }), "target.topics", /at least one/],
  ["too many topics", requestWith({ target: { topics: tooMany } }), "target.topics", /at most 100/],
  ["a topic twice", requestWith({ target: { topics: ["a", "a"] } }), "target.topics", /twice/],
  ["a pattern among topics", requestWith({ target: { topics: ["a", ">"] } }), "target.topics.1", /not a pattern/],
  ["an empty user", requestWith({ target: { user: "" } }), "target.user", /1 to 255 bytes/],
  ["durable to a connection", { ...toConnection("abcdefgh.1"), durable: true }, "durable", /cannot be true for a/],
  ["durable as text", requestWith({ durable: "yes" }), "durable", /true or false/],
  ["a receipt as text", requestWith({ receipt: "yes" }), "receipt", /true or false/],
  ["two targets", requestWith({ target: { ...everyone, connection: "abcdefgh.1" } }), "target", /must be one of/],
  ["not everyone", requestWith({ target: { everyone: false } }), "target.everyone", /must be true/],
  ["a malformed address", toConnection("worker.2"), "target.connection", /must be a connection address/],
  ["an address that is a number", toConnection(12), "target.connection", /must be the address/],
  ["no data", { target: everyone }, "data", /is missing; send text or any JSON value/],
  ["an object as base64", requestWith({ data: {}, encoding: "base64" }), "data", /must be text, because/],
  ["half a surrogate pair", requestWith({ data: "a\ud83d" }), "data", /surrogate/],
  ["an unknown encoding", requestWith({ encoding: "hex" }), "encoding", /"utf8" or "base64"/],
  ["base64 without padding", requestWith({ data: "AP8", encoding: "base64" }), "data", /must be base64/],
  ["base64 of the URL alphabet", requestWith({ data: "_-8=", encoding: "base64" }), "data", /must be base64/],
  ["base64 with a line break", requestWith({ data: "AP\n8=", encoding: "base64" }), "data", /must be base64/],
  ["base64 with stray bits", requestWith({ data: "AP9=", encoding: "base64" }), "data", /must be base64/],
  ["an event that ends its header", requestWith({ event: "a\r\nExcept: b" }), "event", /control/],
  ["an id with an outer space", requestWith({ id: " 1" }), "id", /no space/],
  ["an id that is a number", requestWith({ id: 1 }), "id", /must be text/],
  ["a malformed exception", requestWith({ except: "abcdefgh" }), "except", /must be a connection address/],
  ["a similar field", requestWith({ receipts: 1 }), undefined, /"receipts" \(did you mean "receipt"\?\)/],
  ["a shortened field", requestWith({ encode: "utf8" }), undefined, /"encode" \(did you mean "encoding"\?\)/],
  ["an unknown field", requestWith({ priority: 1 }), undefined, /unknown fields: "priority"$/],
  ["a target's field", { topic: "a", data: "x" }, undefined, /"topic" \(belongs into `target`/],
  ["data by another name", { target: everyone, content: "x" }, undefined, /"content" \(the content is `data`\)/],
  ["a name of all objects", requestWith({ constructor: 1 }), undefined, /: "constructor"$/],
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
    fc.constantFrom("a", "a.*", ">", "*", "a.>.b", "a b", "\ud800", "k3v9x2ab.17"),
    fc.constant("a\r\nPUB fanwire.control.workers 0\r\n"),
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
  const { error } = publicationRequest.safeParse(requestWith({ event }));
  expect(describeIssues(error?.issues ?? [], { known: publicationFields })).toEqual([
    { field: "event", message: expect.stringContaining(reason) },
  ]);
});
