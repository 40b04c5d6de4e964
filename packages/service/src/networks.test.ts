import fc from "fast-check";
import { expect, test } from "vitest";
import { isInNetworks, networkList, parseNetwork } from "./networks.ts";

test("networks and single addresses are parsed, and any other text is refused", () => {
  expect(parseNetwork("10.0.0.0/8")).toEqual({ address: "10.0.0.0", prefix: 8, family: "ipv4" });
  expect(parseNetwork("192.0.2.7")).toEqual({ address: "192.0.2.7", prefix: 32, family: "ipv4" });
  expect(parseNetwork("fd00::/48")).toEqual({ address: "fd00::", prefix: 48, family: "ipv6" });
  for (const text of [
    "",
    "10.0.0.0/33",
    "fd00::/129",
    "10.0.0",
    "host",
    "x10.0.0.0",
    "10.0.0.0/",
    "/8",
    "10.0.0.0/-1",
    "10.0.0.0/8x",
  ])
    expect(parseNetwork(text), text).toBeUndefined();
});

test("an address is found in the list in every form that a socket reports", () => {
  const list = networkList(["10.0.0.0/8", "fd00::/8", "192.0.2.7", "fe80::1"]);
  const isIn = (address: string) => list !== undefined && isInNetworks(list, address);

  const inside = [
    "10.1.2.3",
    "::ffff:10.1.2.3",
    "::FFFF:10.1.2.3",
    "::ffff:0a01:203",
    "fd00::1",
    "192.0.2.7",
    "fe80::1%eth0",
  ];
  const outside = ["11.0.0.1", "::ffff:11.0.0.1", "fe80::2%eth0", "192.0.2.8", ""];
  expect(inside.filter((address) => !isIn(address))).toEqual([]);
  expect(outside.filter(isIn)).toEqual([]);
  expect(networkList([])).toBeUndefined();
});

test("any text is either refused or a network in which an address can be looked up", () => {
  const text = fc.string({
    unit: fc.constantFrom(..."0129.:/afF", "::", "10.0.0.0", "fd00::", "/8", " ", "%"),
    maxLength: 8,
  });

  let networks = 0;
  fc.assert(
    fc.property(text, text, (written, address) => {
      const list = parseNetwork(written) === undefined ? undefined : networkList([written]);
      if (list === undefined) return;
      networks++;
      expect(typeof isInNetworks(list, address)).toBe("boolean");
    }),
    { numRuns: 10_000 },
  );
  expect(networks).toBeGreaterThan(50);
});
