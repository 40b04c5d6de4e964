import { networkList } from "@fanwire/service";
import { OPEN_GRANT } from "@fanwire/tokens";
import fc from "fast-check";
import { expect, test } from "vitest";
import { raw } from "../protocols/raw.ts";
import { ClientAddresses, canonicalAddress, remoteAddressOf } from "./client-address.ts";
import { type Connection, newConnectionState } from "./connection.ts";

const bytes = (text: string): ArrayBuffer => new Uint8Array(Buffer.from(text)).buffer;
const TRUSTED = networkList(["10.0.0.0/8", "fd00::/8", "192.0.2.7"]);

/** A request with header lines such as `x-forwarded-for: 1.2.3.4`. */
function requestWith(lines: readonly string[]) {
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  return {
    forEach: (read: (name: string, value: string) => void) => {
      for (const [name, value] of headers) read(name, value);
    },
  };
}

const forwarded = (peer: string, lines: readonly string[]): string | undefined =>
  new ClientAddresses(TRUSTED).forwarded(requestWith(lines), { getRemoteAddressAsText: () => bytes(peer) });

test.each([
  ["the address that the proxy adds", ["x-forwarded-for: 203.0.113.5"], "203.0.113.5"],
  ["not what a client writes before it", ["x-forwarded-for: 1.1.1.1, 10.1.1.1, 203.0.113.5"], "203.0.113.5"],
  [
    "the last address before trusted proxies, of all lines",
    ["x-forwarded-for: 1.1.1.1", "x-forwarded-for: 203.0.113.5, 192.0.2.7", "x-forwarded-for: 10.9.9.9"],
    "203.0.113.5",
  ],
  ["IPv6 with brackets and a port", ["x-forwarded-for: [2001:DB8:0:0::1]:443"], "2001:db8::1"],
  ["IPv4 within IPv6", ["x-forwarded-for: ::ffff:203.0.113.5"], "203.0.113.5"],
  [
    "IPv4 within IPv6 in hexadecimal digits, of a trusted proxy",
    ["x-forwarded-for: 203.0.113.5, ::ffff:a01:101"],
    "203.0.113.5",
  ],
  ["the first proxy if all are trusted", ["x-forwarded-for: 10.0.0.5, fd00::1"], "10.0.0.5"],
  ["what is known before garbage", ["x-forwarded-for: 203.0.113.5, garbage, 10.2.2.2"], "10.2.2.2"],
  ["nothing if the nearest entry is garbage", ["x-forwarded-for: 203.0.113.5, unknown"], undefined],
  ["nothing if the nearest entry is empty", ["x-forwarded-for: 203.0.113.5,"], undefined],
  [
    "the client of Forwarded",
    ['forwarded: for=1.1.1.1, for="[2001:db8::1]:47011";proto=https;by=10.0.0.1'],
    "2001:db8::1",
  ],
  ["nothing of an obfuscated Forwarded", ["forwarded: for=_secret"], undefined],
  ["both headers if they agree", ["x-forwarded-for: 203.0.113.5", "forwarded: for=203.0.113.5"], "203.0.113.5"],
  ["neither header if they differ", ["x-forwarded-for: 203.0.113.5", "forwarded: for=198.51.100.1"], undefined],
  ["no header", [], undefined],
])("a trusted proxy reports %s", (_what, lines, expected) => {
  expect(forwarded("10.0.0.1", lines)).toBe(expected);
  expect(forwarded("0000:0000:0000:0000:0000:ffff:0a00:0001", lines)).toBe(expected);
  expect(forwarded("fd00:0000:0000:0000:0000:0000:0000:0001", lines)).toBe(expected);
});

test("nothing that any other peer reports is believed", () => {
  for (const peer of ["203.0.113.9", "192.0.2.8", "0000:0000:0000:0000:0000:0000:0000:0001", ""]) {
    expect(forwarded(peer, ["x-forwarded-for: 198.51.100.1"])).toBeUndefined();
  }
  const request = requestWith(["x-forwarded-for: 198.51.100.1"]);
  const response = { getRemoteAddressAsText: () => bytes("10.0.0.1") };
  expect(new ClientAddresses(networkList([])).forwarded(request, response)).toBeUndefined();
});

test("whatever a client writes before it, the address that the proxy adds is taken", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme-ascii" }), (spoofed) => {
      expect(forwarded("10.0.0.1", [`x-forwarded-for: ${spoofed}, 203.0.113.5`])).toBe("203.0.113.5");
      expect(forwarded("10.0.0.1", [`forwarded: ${spoofed}`, "forwarded: for=203.0.113.5"])).toBe("203.0.113.5");
    }),
  );
});

test("the address of a connection has its shortest form", () => {
  expect(canonicalAddress("0000:0000:0000:0000:0000:0000:0000:0001")).toBe("::1");
  expect(canonicalAddress("fe80::1%eth0")).toBeUndefined();
  const connection = (text: string, forwardedAddress?: string) => {
    const state = newConnectionState({
      connectionId: 1,
      protocol: raw,
      grant: OPEN_GRANT,
      ...(forwardedAddress && { forwardedAddress }),
    });
    return { getUserData: () => state, getRemoteAddressAsText: () => bytes(text) } as unknown as Connection;
  };
  expect(remoteAddressOf(connection("0000:0000:0000:0000:0000:ffff:7f00:0001"))).toBe("127.0.0.1");
  expect(remoteAddressOf(connection("10.0.0.1", "203.0.113.5"))).toBe("203.0.113.5");
});
