import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { LocalQueues } from "../broker/local-queues.ts";
import { Subscriptions } from "../broker/subscriptions.ts";
import { parseRequest, type Request } from "./client-message.ts";
import { encodeFrames, FrameDecoder } from "./frames.ts";
import { encodeEvent, encodeQueueItem } from "./server-message.ts";

type Capture = { name: string; direction: "client->server" | "server->client"; note: string; hex: string };

const captures: Capture[] = JSON.parse(
  readFileSync(new URL("../../test-data/channel-wire-captures.json", import.meta.url), "utf8"),
);

/** A server for one peer, made of the pure parts, with queue items in memory. */
class OnePeerServer {
  readonly refusals: string[] = [];
  readonly #decoder = new FrameDecoder();
  readonly #subscriptions = new Subscriptions<"peer">();
  readonly #queues = new LocalQueues<"peer">();
  readonly #items = new Map<string, (Buffer | undefined)[]>();
  #sent: (Buffer | undefined)[] = [];

  /** Returns the frames that the server sends for the bytes, in hexadecimal. */
  receive(bytes: Buffer): string[] {
    this.#sent = [];
    const { messages, error } = this.#decoder.push(bytes);
    for (const message of messages) {
      const request = parseRequest(message);
      if (request.type === "ignored" || request.type === "hostile")
        this.refusals.push(`${request.type}: ${request.reason}`);
      else this.#handle(request);
    }
    if (error !== null) this.refusals.push(error);
    return this.#sent.map((payload) => (payload === undefined ? "too long" : encodeFrames([payload]).toString("hex")));
  }

  #handle({ type, channels, data }: Request): void {
    if (type === "reserve") for (const key of this.#queues.reserve("peer")) this.#dispatch(key);
    for (const { key, raw } of channels) {
      if (type === "subscribe") this.#subscriptions.subscribe("peer", key);
      if (type === "unsubscribe") this.#subscriptions.unsubscribe("peer", key);
      if (type === "watch") this.#queues.watch("peer", key, raw);
      if (type === "unwatch") this.#queues.unwatch("peer", key);
      if (type === "publish") this.#subscriptions.forEach(key, () => this.#sent.push(encodeEvent(raw, data)));
      if (type === "publishLoop" && this.#subscriptions.nextInTurn(key)) this.#sent.push(encodeEvent(raw, data));
      if (type === "enqueue") {
        const item = encodeQueueItem(this.#queues.nameOf(key) ?? raw, data);
        this.#items.set(key, [...(this.#items.get(key) ?? []), item]);
        this.#dispatch(key);
      }
    }
  }

  #dispatch(key: string): void {
    const items = this.#items.get(key) ?? [];
    while (items.length > 0 && this.#queues.takeNextWaiting(key) !== undefined) this.#sent.push(items.shift());
  }
}

function frame(payload: string): Buffer {
  return Buffer.concat([Buffer.from([0, 0, 0, payload.length + 4]), Buffer.from(payload, "latin1")]);
}

describe("the recorded session of a real client", () => {
  it("receives the same frames, byte for byte, after each request", () => {
    const session = captures.filter(({ name }) => !name.startsWith("malformed-"));
    const server = new OnePeerServer();
    const differing = new Set<string>();
    let replies = 0;

    for (let at = 0; at < session.length; ) {
      const request = session[at++];
      const recorded: string[] = [];
      while (session[at]?.direction === "server->client") recorded.push(session[at++]?.hex ?? "");
      const sent = server.receive(Buffer.from(request?.hex ?? "", "hex"));
      replies += recorded.length;
      if (JSON.stringify(sent) !== JSON.stringify(recorded)) differing.add(request?.name ?? "");
    }

    expect([...differing]).toEqual([]);
    expect(replies).toBe(captures.filter(({ direction }) => direction === "server->client").length);
    // The original cannot read these two and drops them as well.
    expect(server.refusals).toEqual(["ignored: unsafe-value", "ignored: unsafe-value"]);
  });
});

describe("the recorded malformed messages", () => {
  // Deliberate differences: values are passed on unchanged, and the bytes of one connection never affect another.
  const otherReplies: Record<string, string> = {
    "malformed-split-after-poison": 's:5:"split";',
    "malformed-type-escaped-S": 'S:3:"\\41bc";',
    "malformed-dup-array-keys": "a:2:{i:1;i:1;i:1;i:2;}",
    "malformed-numeric-string-key": 'a:1:{s:1:"5";i:1;}',
    "malformed-float-forms": "a:5:{i:0;d:1.50;i:1;d:1E5;i:2;d:0.1000000000000000055511151231257827;i:3;d:5;i:4;i:+7;}",
  };

  // The recording ends after 200 bytes, in the middle of the third of four frames; its reply is whole.
  const missingEnds: Record<string, string> = {
    "malformed-channel-bool": `data";s:1:"t";}${frame('a:3:{s:4:"type";s:7:"publish";s:8:"channels";a:1:{i:0;b:0;}s:4:"data";s:1:"f";}').toString("latin1")}`,
  };

  const refusals: Record<string, string> = {
    "malformed-len0-with-payload": "frame-too-short",
    "malformed-len1-with-payload": "frame-too-short",
    "malformed-len0": "frame-too-short",
    "malformed-len1-only": "frame-too-short",
    "malformed-len2-only": "frame-too-short",
    "malformed-len3-only": "frame-too-short",
    "malformed-len-10485761": "frame-too-long",
    "malformed-len-ffffffff": "frame-too-long",
    "malformed-http-request": "frame-too-long",
    "malformed-payload-garbage": "ignored: malformed",
    "malformed-payload-truncated": "ignored: malformed",
    "malformed-payload-int": "ignored: not-an-array",
    "malformed-payload-null": "ignored: not-an-array",
    "malformed-payload-false": "ignored: not-an-array",
    "malformed-payload-string": "hostile: string-payload",
    "malformed-payload-object": "hostile: object-payload",
    "malformed-empty-array": "ignored: unknown-type",
    "malformed-unknown-type": "ignored: unknown-type",
    "malformed-type-uppercase": "ignored: unknown-type",
    "malformed-type-int0": "ignored: unknown-type",
    "malformed-type-true": "ignored: unknown-type",
    "malformed-channels-missing-publish": "ignored: no-channels",
    "malformed-channels-missing-subscribe": "ignored: no-channels",
    "malformed-channels-string": "ignored: no-channels",
    "malformed-channel-array-subscribe": "hostile: name-not-scalar",
    "malformed-channel-array-publish2": "hostile: name-not-scalar",
    "malformed-ref-outer-R1": "ignored: reference-outside-data",
    "malformed-data-ref-to-channel": "ignored: reference-outside-data",
    "malformed-data-object-DateTime-bad": "ignored: class-not-allowed",
    "malformed-custom-C": "ignored: unsafe-value",
    "malformed-enum-E": "ignored: unsafe-value",
    "malformed-closure": "ignored: class-not-allowed",
  };

  const malformed = captures.filter(({ name }) => name.startsWith("malformed-"));

  it.each(malformed.map(({ name, note, hex }) => [name, note, hex] as const))("%s", (name, note, hex) => {
    const server = new OnePeerServer();
    // As recorded: the connection subscribes to "m" before each case.
    server.receive(frame('a:2:{s:4:"type";s:9:"subscribe";s:8:"channels";a:1:{i:0;s:1:"m";}}'));

    const end = Buffer.from(missingEnds[name] ?? "", "latin1");
    const sent = server.receive(Buffer.concat([Buffer.from(hex, "hex"), end]));

    expect(server.refusals).toEqual(refusals[name] === undefined ? [] : [refusals[name]]);
    expect(Buffer.from(sent.join(""), "hex").toString("latin1")).toBe(expectedReply(name, note));
  });

  function expectedReply(name: string, note: string): string {
    const data = otherReplies[name];
    if (data !== undefined) {
      return frame(`a:3:{s:4:"type";s:5:"event";s:7:"channel";s:1:"m";s:4:"data";${data}}`).toString("latin1");
    }
    const [, reply = "none"] = note.match(/observed: reply=(none|"(?:[^"\\]|\\.)*");/) ?? [];
    return reply === "none" || refusals[name] !== undefined ? "" : JSON.parse(reply);
  }
});
