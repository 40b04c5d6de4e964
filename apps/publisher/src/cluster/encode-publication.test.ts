import { Subjects } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { encodeDurable, encodePublication } from "./encode-publication.ts";

const subjects = new Subjects();
const content = new Uint8Array([0xff, 0x00]);

test("a publication is encoded as a subject, its unchanged content, and headers for the fields that it has", () => {
  expect(encodePublication(subjects, { target: { kind: "everyone" }, content })).toEqual({
    subject: "fanwire.live.all",
    content,
    headers: [],
  });

  const connection = { workerId: "abcdefgh", connectionId: 7 };
  expect(
    encodePublication(subjects, {
      target: { kind: "connection", connection },
      content,
      event: "событие",
      id: "42",
      receipt: "r1",
      except: { workerId: "hgfedcba", connectionId: 1 },
    }),
  ).toEqual({
    subject: "fanwire.live.connection.abcdefgh.7",
    content,
    headers: [
      ["Event", "событие"],
      ["Id", "42"],
      ["Receipt", "r1"],
      ["Except", "hgfedcba.1"],
    ],
  });
});

test("a durable publication has a subject of the history", () => {
  const target = { kind: "topic", topic: "a.ж" } as const;

  expect(encodeDurable(subjects, { target, content, id: "42" })).toEqual({
    subject: "fanwire.history.topic.a.=D0=B6",
    content,
    headers: [["Id", "42"]],
  });
});
