import type { CloseCode } from "@fanwire/protocol";
import type { Batching } from "../wire/batched-frames.ts";
import type { PresenceChange } from "../wire/presence.ts";
import type { Publication } from "../wire/publication.ts";

/** How clients communicate with a worker: all that fan-out, recovery and the hub know about a protocol. */
export type ClientProtocol = {
  /** The name that the API shows. */
  readonly name: string;
  /**
   * Whether clients receive positions and can resume from one. If so, a worker closes connections that missed
   * publications.
   */
  readonly canResume: boolean;
  /** Most protocols have one. Each connection has one of them at a time. */
  readonly encodings: readonly Encoding[];
  /** Returns the current encoding of a connection. */
  encodingOf(receiver: Receiver): Encoding;
  /** Its connections do not receive publications to everyone. */
  readonly skipsEveryone?: true;
  /**
   * Returns the message that informs a client that the application has unsubscribed its connection. Protocols without
   * it do not inform clients.
   */
  encodeUnsubscribed?(topic: string): string;
  /** Present if its close codes are not ours. */
  readonly closing?: Closing;
};

/** How a protocol closes connections. */
export type Closing = {
  /** All of its close codes. */
  readonly codes: ReadonlySet<number>;
  /** Returns the protocol's code for one of ours. Returns a code of the protocol unchanged. */
  codeFor(closeCode: CloseCode): CloseCode;
  /** Returns the frame to send before the close frame, if the protocol has one. */
  lastFrame(closeCode: CloseCode): string | undefined;
};

/** The state of a connection that its encoding depends on. */
type Receiver = {
  /** Whether topics of the connection overlap, so that it receives copies of a publication. */
  readonly hasCopies: boolean;
};

/** Encodes a publication, once for all connections with this encoding, and defines how it is written to them. */
export type Encoding = SingleFrames | BatchedFrames;

type PresenceFrames = {
  /**
   * Returns the messages that report a change to connections that have joined its topic with presence. They are written
   * like publications, in order with them. Protocols without it report no changes.
   */
  encodePresence?(change: PresenceChange): readonly (string | Uint8Array)[];
};

/**
 * Each publication is a frame. The connections must be WebSockets of uWebSockets.js, because its topics write to them.
 */
export type SingleFrames = PresenceFrames & {
  readonly frames: "single";
  /** Returns undefined for a publication that the protocol cannot carry. It is not delivered, and counted. */
  encode(publication: Publication): Uint8Array | undefined;
};

/** Publications of one event-loop tick share frames. */
export type BatchedFrames = PresenceFrames & {
  readonly frames: "batched";
  readonly batching: Batching;
  /** Whether the protocol reports to the hub when a socket has drained. Slow consumers can then share one buffer. */
  readonly reportsDrain: boolean;
  encode(publication: Publication): string;
};
