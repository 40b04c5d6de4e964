import { expect, test } from "vitest";
import { addressInEntry, forwardedEntries, forwardedForEntries } from "./forwarded-header.ts";

test("the entries of X-Forwarded-For are read from the nearest proxy on, over all lines", () => {
  expect(forwardedForEntries(["192.0.2.1, 10.0.0.1", " 10.0.0.2 "])).toEqual(["10.0.0.2", "10.0.0.1", "192.0.2.1"]);
  expect(forwardedForEntries(["192.0.2.1,,10.0.0.1,"])).toEqual(["", "10.0.0.1", "", "192.0.2.1"]);
  expect(forwardedForEntries([""])).toEqual([""]);
});

test("the addresses of Forwarded are read from elements with names in any case, quotes and other parameters", () => {
  const lines = [
    'for=192.0.2.43;proto=https, For="[2001:db8:cafe::17]:4711"',
    'proto=http; FOR = "10.0.0.1:80";by="a,b;for=1.1.1.1"',
  ];
  expect(forwardedEntries(lines)).toEqual(["10.0.0.1:80", "[2001:db8:cafe::17]:4711", "192.0.2.43"]);
  expect(forwardedEntries(["proto=https", 'for="a\\"b,c"'])).toEqual(['a"b,c', ""]);
});

test("a quotation mark that does not match hides nothing that a proxy adds", () => {
  expect(forwardedForEntries(['"', '1.1.1.1", 203.0.113.5'])).toEqual(["203.0.113.5", '1.1.1.1"', '"']);
  expect(forwardedEntries(['for="1.1.1.1', "for=203.0.113.5"])).toEqual(["203.0.113.5", ""]);
  expect(forwardedEntries(['for="1.1.1.1, for="[2001:db8::1]"'])).toEqual([""]);
});

test("at most 32 entries are read", () => {
  const many = Array.from({ length: 10_000 }, (_, at) => `10.0.0.${at % 250}`).join(",");
  expect(forwardedForEntries([many])).toHaveLength(32);
  expect(forwardedEntries([many.replaceAll("10.0", "for=10.0")])).toHaveLength(32);
});

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["192.0.2.1:4711", "192.0.2.1"],
  ["[2001:db8::1]:443", "2001:db8::1"],
  ["[2001:db8::1]", "2001:db8::1"],
  ["2001:db8::1", "2001:db8::1"],
  ["fe80::1%eth0", "fe80::1"],
  ["[fe80::1%25eth0]:80", "fe80::1"],
  ["unknown", "unknown"],
  ["_hidden", "_hidden"],
  ["", ""],
])("the address in %j is %j", (entry, address) => {
  expect(addressInEntry(entry)).toBe(address);
});
