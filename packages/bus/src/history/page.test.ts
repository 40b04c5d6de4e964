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

test("a page without content is full of headers", () => {
  const page = new Page({ ...request, withoutContent: true }, subjects);
  page.addStored({ ...stored(1), content: Buffer.alloc(5_000) });
  expect([page.isFull, page.roomBytes]).toEqual([false, 1_000 - headers.bytes]);

  page.addStored(stored(2));

  expect(page.isFull).toBe(true);
  expect(page.publications.map(({ content }) => content.length)).toEqual([0, 0]);
});
