import type { StreamEvent } from "../api/event-stream.ts";

export const kinds = ["publication", "connection", "subscription", "recovery"] as const;
export type Kind = (typeof kinds)[number];

type Target = {
  readonly everyone?: true;
  readonly topic?: string;
  readonly user?: string;
  readonly connection?: string;
};

/** Events of `GET /v1/trace`, as the OpenAPI document describes them. */
type Traced = {
  publication: {
    readonly at: string;
    readonly target: Target;
    readonly event: string;
    readonly data?: string;
    readonly encoding?: "base64";
    readonly bytes: number;
    readonly durable: boolean;
    readonly position?: string;
    readonly id?: string;
    readonly except?: string;
  };
  connection: {
    readonly at: string;
    readonly state: "opened" | "closed";
    readonly connection: string;
    readonly protocol: string;
    readonly user?: string;
    readonly remoteAddress?: string;
    readonly code?: number;
    readonly reason?: string;
  };
  subscription: {
    readonly at: string;
    readonly state: "subscribed" | "unsubscribed";
    readonly connection: string;
    readonly user?: string;
    readonly topic: string;
  };
  recovery: {
    readonly at: string;
    readonly connection: string;
    readonly topics?: readonly string[];
    readonly recovered: boolean | null;
    readonly reason?: string;
    readonly replayed: number;
  };
};

/** Number of what a second of the trace left out; null where nobody counted. */
export type Skipped = { readonly publications: number | null; readonly events: number | null };

/** One line of the trace. */
export type Entry = {
  [K in Kind]: { readonly number: number; readonly kind: K; readonly value: Traced[K]; readonly json: string };
}[Kind];

/** Returns `undefined` for an event of another kind, which a newer publisher may send. */
export function entryOf({ event, data }: StreamEvent, number: number): Entry | undefined {
  const kind = kinds.find((each) => each === event);
  // The publisher sends only values of this form.
  return kind === undefined ? undefined : ({ number, kind, value: JSON.parse(data), json: data } as Entry);
}

/** Whether the text is anywhere in the entry. */
export function matches({ kind, json }: Entry, text: string): boolean {
  const wanted = text.toLowerCase();
  return wanted === "" || kind.includes(wanted) || json.toLowerCase().includes(wanted);
}

/** The subject of an entry: the target of a publication, or a connection. */
export function subjectOf(entry: Entry): string {
  if (entry.kind !== "publication") return entry.value.connection;
  const { everyone, topic, user, connection } = entry.value.target;
  if (everyone) return "everyone";
  return topic ?? (user === undefined ? (connection ?? "unknown") : `user ${user}`);
}

export function outcomeOf(entry: Entry): string {
  switch (entry.kind) {
    case "publication":
      return entry.value.event;
    case "recovery":
      return `recovered: ${entry.value.recovered}`;
    default:
      return entry.value.state;
  }
}

/** Facts that are not in the other columns. */
export function detailOf(entry: Entry): string {
  switch (entry.kind) {
    case "publication":
      return entry.value.data ?? "";
    case "connection": {
      const { protocol, user, remoteAddress, code, reason } = entry.value;
      return [protocol, user && `user ${user}`, remoteAddress, code, reason].filter(Boolean).join(" · ");
    }
    case "subscription":
      return [entry.value.topic, entry.value.user && `user ${entry.value.user}`].filter(Boolean).join(" · ");
    case "recovery": {
      const { replayed, reason, topics = [] } = entry.value;
      return [`${replayed} replayed`, reason, topics.join(", ")].filter(Boolean).join(" · ");
    }
  }
}

/** Body of a request that publishes the same again, or `undefined` if the trace has only a part of it. */
export function publicationBody(entry: Entry): object | undefined {
  if (entry.kind !== "publication") return undefined;
  const { target, event, data, encoding, bytes, durable, except } = entry.value;
  if (data === undefined || sizeOf(data, encoding) < bytes) return undefined;
  return {
    target,
    ...(event !== "message" && { event }),
    data,
    ...(encoding !== undefined && { encoding }),
    ...(durable && { durable }),
    ...(except !== undefined && { except }),
  };
}

function sizeOf(data: string, encoding: "base64" | undefined): number {
  return encoding === "base64" ? atob(data).length : new TextEncoder().encode(data).length;
}
