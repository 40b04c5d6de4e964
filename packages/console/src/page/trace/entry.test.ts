import { expect, test } from "vitest";
import { detailOf, type Entry, entryOf, matches, outcomeOf, publicationBody, subjectOf } from "./entry.ts";

function entry(event: string, value: object): Entry {
  const found = entryOf({ event, data: JSON.stringify({ at: "2026-01-01T00:00:00.000Z", ...value }) }, 1);
  if (found === undefined) throw new Error("no entry");
  return found;
}

const publication = { target: { topic: "news" }, event: "paid", data: "héllo", bytes: 6, durable: true };

test("an entry shows its subject, what happened, and its details", () => {
  const texts = (each: Entry) => [subjectOf(each), outcomeOf(each), detailOf(each)];
  expect(texts(entry("publication", publication))).toEqual(["news", "paid", "héllo"]);
  expect(texts(entry("publication", { ...publication, target: { everyone: true } }))[0]).toBe("everyone");
  expect(texts(entry("publication", { ...publication, target: { user: "anna" } }))[0]).toBe("user anna");
  const closed = { state: "closed", connection: "a.1", protocol: "raw", remoteAddress: "127.0.0.1", code: 1001 };
  expect(texts(entry("connection", closed))).toEqual(["a.1", "closed", "raw · 127.0.0.1 · 1001"]);
  const subscribed = { state: "subscribed", connection: "a.1", topic: "news", user: "anna" };
  expect(texts(entry("subscription", subscribed))).toEqual(["a.1", "subscribed", "news · user anna"]);
  const lost = { connection: "a.1", recovered: false, reason: "expired", replayed: 0 };
  expect(texts(entry("recovery", lost))).toEqual(["a.1", "recovered: false", "0 replayed · expired"]);
});

test("an event of an unknown kind is no entry", () => {
  expect(entryOf({ event: "weather", data: "{}" }, 1)).toBeUndefined();
});

test("the filter finds text of the kind and the values, in any case", () => {
  const found = entry("publication", publication);
  expect(["", "NEWS", "publica", "paid"].map((text) => matches(found, text))).toEqual([true, true, true, true]);
  expect(matches(found, "orders")).toBe(false);
});

test("only a publication whose whole content is known can be published again", () => {
  const body = { target: { topic: "news" }, event: "paid", data: "héllo", durable: true };
  expect(publicationBody(entry("publication", publication))).toEqual(body);
  expect(publicationBody(entry("publication", { ...publication, bytes: 7 }))).toBeUndefined();
  const binary = { ...publication, data: "/w==", encoding: "base64", bytes: 1, durable: false };
  expect(publicationBody(entry("publication", binary))).toMatchObject({ data: "/w==", encoding: "base64" });
  expect(publicationBody(entry("connection", { connection: "a.1" }))).toBeUndefined();
});
