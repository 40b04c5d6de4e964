import { BlockList, isIP } from "node:net";

type Family = "ipv4" | "ipv6";
type Network = { readonly address: string; readonly prefix: number; readonly family: Family };

const MAPPED_IPV4 = /^::ffff:(?=[0-9.]+$)/i;

/** Parses a network such as `10.0.0.0/8`, or a single address. Returns `undefined` for any other text. */
export function parseNetwork(text: string): Network | undefined {
  const [, address = "", digits] = /^([0-9A-Fa-f.:]+)(?:\/([0-9]{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  const bits = version === 4 ? 32 : 128;
  const prefix = digits === undefined ? bits : Number(digits);
  return version === 0 || prefix > bits ? undefined : { address, prefix, family: version === 4 ? "ipv4" : "ipv6" };
}

/**
 * Returns the networks as one list, or `undefined` for an empty list, which allows any. Every text must be a network.
 */
export function networkList(texts: readonly string[]): BlockList | undefined {
  if (texts.length === 0) return undefined;
  const list = new BlockList();
  for (const network of texts.map(parseNetwork)) {
    if (network !== undefined) list.addSubnet(network.address, network.prefix, network.family);
  }
  return list;
}

/** Returns whether the remote address of a socket is in one of the networks. */
export function isInNetworks(networks: BlockList, remoteAddress: string): boolean {
  // A server that listens on `::` receives IPv4 addresses in their IPv6 form.
  const address = remoteAddress.replace(MAPPED_IPV4, "").replace(/%.*$/, "");
  const version = isIP(address);
  return version !== 0 && networks.check(address, version === 4 ? "ipv4" : "ipv6");
}
