import { FanwireError } from "./error.ts";

/** Messages of a worker, as docs/protocol.md describes them. */
export type Message = Welcome | PublicationMessage | PresenceMessage | UnsubscribedMessage | Reply;

export type Welcome = {
  readonly type: "welcome";
  readonly connection: string;
  readonly position?: string;
  readonly recovered: boolean | null;
  /** Reason of `recovered: false`. */
  readonly reason?: string;
};

export type PublicationMessage = {
  readonly type: "publication";
  readonly position?: string;
  readonly topic?: string;
  readonly subscription?: string;
  readonly event: string;
  readonly data: string;
  readonly encoding?: "base64";
  readonly id?: string;
  readonly recovered?: true;
  /** Sent instead of `position` while the subscription catches up: position of this subscription alone. */
  readonly since?: string;
  /** Position to resume from after this copy of the publication, when other copies follow. */
  readonly resume?: string;
};

/** A user present on a topic. */
export type Member = {
  readonly user: string;
  /** The `info` of the user's token, if any. */
  readonly info?: unknown;
};

export type PresenceMessage = {
  readonly type: "presence";
  readonly topic: string;
  readonly joined?: readonly Member[];
  readonly left?: readonly string[];
  readonly count: number;
  /** `joined` and `left` name only some of the users. */
  readonly partial?: boolean;
};

/** The application has ended a subscription of the connection. */
type UnsubscribedMessage = { readonly type: "unsubscribed"; readonly topic: string };

export type Reply = { readonly type: "reply"; readonly id: number | string } & (
  | {
      readonly ok: true;
      readonly recovered?: boolean | null;
      readonly position?: string;
      readonly dropped?: string[];
      readonly presenceDropped?: string[];
      readonly count?: number;
      /** Absent in a topic of more than 1,000 members. */
      readonly members?: readonly Member[];
    }
  | { readonly ok: false; readonly error: { readonly code: string; readonly message: string } }
);

/** A publication that this connection received. */
export type Publication = {
  /** Topic of the publication; `undefined` when the target was everyone, the user or this connection. */
  readonly topic: string | undefined;
  /** Pattern of the subscription; `undefined` for the topic itself. */
  readonly subscription: string | undefined;
  /** Name of the event, `message` by default. */
  readonly event: string;
  /** Content as text, or as bytes when it is not valid UTF-8. */
  readonly data: string | Uint8Array;
  /** Position `<epoch>-<sequence>` in the history; `undefined` for live publications. */
  readonly position: string | undefined;
  /** The publisher's own id, if any. */
  readonly id: string | undefined;
  /** Whether it was missed, and replayed from the history when the connection resumed. */
  readonly recovered: boolean;
  /**
   * Parses the content at each call. Call it as a method, `publication.json()`.
   *
   * @throws FanwireError `not-json` if the content is not JSON.
   */
  json<Value = unknown>(): Value;
};

/** Returns the messages of one frame. Skips lines that cannot be parsed, because a newer worker may send others. */
export function parseFrame(frame: string): Message[] {
  return frame.split("\n").flatMap((line) => {
    try {
      // Workers send only messages of these forms, so they are not validated.
      const message: Message | null = JSON.parse(line);
      return message?.type ? [message] : [];
    } catch {
      return [];
    }
  });
}

/** `resume`: position to resume from. `isCatchingUp`: the position belongs to this subscription alone. */
export type ReceivedPublication = Publication & { readonly resume: string | undefined; readonly isCatchingUp: boolean };

export function publicationFrom(message: PublicationMessage): Publication {
  const { topic, subscription, event, encoding, since, position = since, id, recovered = false } = message;
  const data = encoding === "base64" ? bytesOf(message.data) : message.data;
  return Object.assign(new Content(), { topic, subscription, event, data, position, id, recovered });
}

/** Has the method on its prototype, so that a publication can be cloned, for example to a worker of the page. */
class Content {
  json<Value = unknown>(this: Pick<Publication, "data">): Value {
    const { data } = this;
    if (typeof data !== "string") throw new FanwireError("not-json", "the content is not JSON: it is not UTF-8");
    try {
      return JSON.parse(data);
    } catch (error) {
      throw new FanwireError("not-json", `the content is not JSON: ${(error as Error).message}`);
    }
  }
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
