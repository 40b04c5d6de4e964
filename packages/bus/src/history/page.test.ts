import { Subjects } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { HeaderBlock } from "../connection/header-block.ts";
import { Page } from "./page.ts";

const subjects = new Subjects();
const subject = subjects.history({ kind: "everyone" });
const headers = new HeaderBlock(Buffer.from(`NATS/1.0\r\nEvent: ${"x".repeat(600)}\r\n\r\n`));
const stored = (sequence: number) => ({ sequence, subject, content: Buffer.from("x"), headers, time: new Date(0) });
const request = { filter: subject, after: 0, maxBytes: 1_000 };

test("a page is full of content and headers together", () => {
  const page = new Page(request, subjects);
  page.addStored(stored(1));
  expect([page.isFull, page.roomBytes]).toEqual([false, 999 - headers.bytes]);

  page.addStored(stored(2));

  expect([page.isFull, page.publications.length, page.through]).toEqual([true, 2, 2]);
});

test("a page without content has no headers either, so that only the number of publications fills it", () => {
  const page = new Page({ ...request, limit: 10, withoutContent: true }, subjects);
  for (let sequence = 1; sequence < 10; sequence++) page.addStored(stored(sequence));

  expect([page.isFull, page.roomBytes]).toEqual([false, 1_000]);
  for (const { content, headers } of page.publications) expect([content.length, headers]).toEqual([0, undefined]);
});
