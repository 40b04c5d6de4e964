/** A publication as the connections of one subscription receive it: the input of the protocols' encoders. */
export type Publication = {
  /** The bytes that were published. */
  readonly content: Uint8Array;
  /** Decoded when it is first used, so that protocols which need only the content cost less. */
  readonly text: PublicationText;
  /** Its receivers, as the protocols that name them need it. */
  readonly target: "everyone" | "topic" | "user" | "connection";
  /** The user that it was published to. */
  readonly user: string | undefined;
  /** The member of a presence channel who sent it. */
  readonly sender: string | undefined;
};

/** A decoded publication. */
export type PublicationText = {
  /** The content as text if it is valid UTF-8, otherwise its base64. */
  readonly data: string;
  readonly isBinary: boolean;
  readonly event: string | undefined;
  readonly id: string | undefined;
  readonly topic: string | undefined;
  /** The pattern, if the topic matched one. */
  readonly subscription: string | undefined;
  readonly position: string | undefined;
  /** Position to resume from for a connection that has this copy of the publication but not all copies. */
  readonly resume?: string | undefined;
  /** The position of its subscription alone, while that catches up. */
  readonly since?: string | undefined;
  /** Whether it was read from the history. */
  readonly isRecovered?: boolean | undefined;
};
