import { type BlockList, isIP } from "node:net";
import { isInNetworks } from "@fanwire/service";
import { addressInEntry, forwardedEntries, forwardedForEntries } from "../wire/forwarded-header.ts";
import type { Connection } from "./connection.ts";

/** The parts of a request and its response that have addresses. */
type Request = { forEach(read: (name: string, value: string) => void): void };
type Response = { getRemoteAddressAsText(): ArrayBuffer };

/** Finds the addresses of clients behind proxies. Only a proxy in a trusted network may report one. */
export class ClientAddresses {
  readonly #trusted: BlockList | undefined;
  /** Most requests come from the same few proxies. */
  #lastPeer: { readonly text: string; readonly address: string; readonly isTrusted: boolean } | undefined;

  constructor(trusted: BlockList | undefined) {
    this.#trusted = trusted;
  }

  /**
   * Returns the address that trusted proxies report, or `undefined` if there is none: the last one that is not a
   * trusted proxy's own. Clients can write everything before it. If `X-Forwarded-For` and `Forwarded` contradict each
   * other, one of them is from the client, and neither counts.
   */
  forwarded(request: Request, response: Response): string | undefined {
    const trusted = this.#trusted;
    if (trusted === undefined) return undefined;
    const peer = this.#peerOf(response, trusted);
    if (!peer.isTrusted) return undefined;
    const lines = linesOf(request);
    const found = [forwardedForEntries(lines.list), forwardedEntries(lines.elements)].flatMap((entries) =>
      entries.length === 0 ? [] : lastUntrusted(entries, peer.address, trusted),
    );
    const [address, other = address] = found;
    return address === other && address !== peer.address ? address : undefined;
  }

  #peerOf(response: Response, trusted: BlockList) {
    const text = Buffer.from(response.getRemoteAddressAsText()).toString("latin1");
    if (this.#lastPeer?.text === text) return this.#lastPeer;
    const address = canonicalAddress(text) ?? text;
    this.#lastPeer = { text, address, isTrusted: isInNetworks(trusted, address) };
    return this.#lastPeer;
  }
}

/** Returns all lines of both headers. `getHeader` returns only the first, which may be empty. */
function linesOf(request: Request): { readonly list: readonly string[]; readonly elements: readonly string[] } {
  const lines = { list: [] as string[], elements: [] as string[] };
  request.forEach((name, value) => {
    if (name === "x-forwarded-for") lines.list.push(value);
    else if (name === "forwarded") lines.elements.push(value);
  });
  return lines;
}

/** Goes back from the nearest proxy, up to an entry that is no address. The entries before that one prove nothing. */
function lastUntrusted(entries: readonly string[], peer: string, trusted: BlockList): string {
  let known = peer;
  for (const entry of entries) {
    const address = canonicalAddress(addressInEntry(entry));
    if (address === undefined) return known;
    known = address;
    if (!isInNetworks(trusted, address)) return known;
  }
  return known;
}

const MAPPED_IPV4 = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;

/**
 * Returns an address in its shortest form, and an IPv4 address within an IPv6 one as IPv4; `undefined` for other text.
 */
export function canonicalAddress(text: string): string | undefined {
  const version = isIP(text);
  if (version === 4) return text;
  if (version === 0 || text.includes("%")) return undefined;
  const address = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const mapped = MAPPED_IPV4.exec(address);
  if (mapped === null) return address;
  const [high, low] = [mapped[1], mapped[2]].map((group = "0") => Number.parseInt(group, 16)) as [number, number];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/** Returns the address of the client: as a trusted proxy reported it, otherwise that of the TCP connection. */
export function remoteAddressOf(connection: Connection): string {
  const { forwardedAddress } = connection.getUserData();
  if (forwardedAddress !== undefined) return forwardedAddress;
  const text = Buffer.from(connection.getRemoteAddressAsText()).toString("latin1");
  return canonicalAddress(text) ?? text;
}
