import { expect, test } from "vitest";
import { describeIssues } from "./issues.ts";
import { publicationRequest } from "./schemas.ts";

const everyone = { everyone: true };

test("a request becomes a publication", () => {
  expect(publicationRequest.parse({ target: everyone, data: "привет" })).toEqual({
    target: { kind: "everyone" },
    content: Buffer.from("привет"),
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
    target: { kind: "connection", connection: { workerId: "abcdefgh", connectionId: 7 } },
    content: Buffer.from([0xff, 0x00]),
    event: "order.paid",
    id: "1",
    except: { workerId: "hgfedcba", connectionId: 1 },
  });
});

test("content may be empty, long and hold any character", () => {
  for (const data of ["", "\u0000", "😀", "x".repeat(1_000_000)]) {
    const { content } = publicationRequest.parse({ target: everyone, data });
    expect(Buffer.from(data).equals(content)).toBe(true);
  }
});

const wrong: [name: string, request: unknown, field: string | undefined, message: RegExp][] = [
  ["no object", 7, undefined, /must be an object/],
  ["null", null, undefined, /must be an object/],
  ["no target", { data: "x" }, "target", /must be one of {"everyone": true}, {"connection"/],
  ["a target that is text", { target: "all", data: "x" }, "target", /must be one of/],
  ["an empty target", { target: {}, data: "x" }, "target", /must be one of/],
  ["a target of a later stage", { target: { topic: "news" }, data: "x" }, "target", /must be one of/],
  ["two targets", { target: { everyone: true, connection: "abcdefgh.1" }, data: "x" }, "target", /must be one of/],
  ["not everyone", { target: { everyone: false }, data: "x" }, "target.everyone", /must be true/],
  [
    "a malformed address",
    { target: { connection: "worker.2" }, data: "x" },
    "target.connection",
    /no connection address/,
  ],
  [
    "an address that is a number",
    { target: { connection: 12 }, data: "x" },
    "target.connection",
    /must be the address/,
  ],
  ["no data", { target: everyone }, "data", /must be text/],
  ["data that is an object", { target: everyone, data: { a: 1 } }, "data", /send it as text/],
  ["half a surrogate pair", { target: everyone, data: "a\ud83d" }, "data", /surrogate/],
  ["an unknown encoding", { target: everyone, data: "x", encoding: "hex" }, "encoding", /"utf8" or "base64"/],
  ["base64 without padding", { target: everyone, data: "AP8", encoding: "base64" }, "data", /no base64/],
  ["base64 of the URL alphabet", { target: everyone, data: "_-8=", encoding: "base64" }, "data", /no base64/],
  ["base64 with a line break", { target: everyone, data: "AP\n8=", encoding: "base64" }, "data", /no base64/],
  ["base64 with stray bits", { target: everyone, data: "AP9=", encoding: "base64" }, "data", /no base64/],
  ["an empty event", { target: everyone, data: "x", event: "" }, "event", /1 to 255 bytes/],
  ["an event that ends its header", { target: everyone, data: "x", event: "a\r\nExcept: b" }, "event", /control/],
  ["an id with an outer space", { target: everyone, data: "x", id: " 1" }, "id", /no space/],
  ["an id that is a number", { target: everyone, data: "x", id: 1 }, "id", /must be text/],
  ["a malformed exception", { target: everyone, data: "x", except: "abcdefgh" }, "except", /no connection address/],
  ["an unknown field", { target: everyone, data: "x", durable: true }, undefined, /unknown fields: "durable"/],
  ["a prototype", JSON.parse('{"target":{"everyone":true},"data":"x","__proto__":{}}'), undefined, /__proto__/],
];

test.each(wrong)("refused with a word about it: %s", (_name, request, field, message) => {
  const { success, error } = publicationRequest.safeParse(request);

  expect(success).toBe(false);
  expect(describeIssues(error?.issues ?? [], 3)).toContainEqual({
    index: 3,
    ...(field !== undefined && { field }),
    message: expect.stringMatching(message),
  });
});
