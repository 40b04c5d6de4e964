/** What a worker says, as docs/protocol.md has it. */
export type Message = Welcome | PublicationMessage | Reply;

export type Welcome = {
  readonly type: "welcome";
  readonly connection: string;
  readonly position?: string;
  readonly recovered: boolean | null;
  /** Why not recovered. */
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
  /** The position of its subscription alone, as long as that catches up; instead of `position`. */
  readonly since?: string;
  /** Where to resume with this copy of the publication and not all. */
  readonly resume?: string;
};

export type Reply = { readonly type: "reply"; readonly id: number | string } & (
  | { readonly ok: true; readonly recovered?: boolean | null; readonly position?: string; readonly dropped?: string[] }
  | { readonly ok: false; readonly error: { readonly code: string; readonly message: string } }
);

/** Something that was published to what this connection hears. */
export type Publication = {
  /** `undefined` when it was for everyone, for the user or for this connection. */
  readonly topic: string | undefined;
  /** The pattern, when the topic is followed by one. */
  readonly subscription: string | undefined;
  /** The application's name for it; `message` unless it said otherwise. */
  readonly event: string;
  /** Bytes when the content is not valid UTF-8. */
  readonly data: string | Uint8Array;
  /** Present when it was published durably. */
  readonly position: string | undefined;
  /** The publisher's own id, where it gave one. */
  readonly id: string | undefined;
  /** It was missed, and came from the history when the connection resumed. */
  readonly recovered: boolean;
};

/** The messages of one frame. What cannot be read is left out, as what a newer worker may say. */
export function parseFrame(frame: string): Message[] {
  return frame.split("\n").flatMap((line) => {
    try {
      const value: unknown = JSON.parse(line);
      // The worker is taken at its word: this is what it says by its specification.
      return typeof value === "object" && value !== null ? [value as Message] : [];
    } catch {
      return [];
    }
  });
}

/** `resume`: the position to go on from. `isCatchingUp`: it is that of its subscription alone. */
export type ReceivedPublication = Publication & { readonly resume: string | undefined; readonly isCatchingUp: boolean };

export function publicationFrom(message: PublicationMessage): Publication {
  const { topic, subscription, event, encoding, since, position = since, id, recovered = false } = message;
  const data = encoding === "base64" ? bytesOf(message.data) : message.data;
  return { topic, subscription, event, data, position, id, recovered };
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
