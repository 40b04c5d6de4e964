import { formatConnectionAddress, parseConnectionAddress } from "./connection-address.ts";
import { decodeToken, encodeByteToken, encodeToken } from "./subject-tokens.ts";
import type { DurableTarget, Target } from "./target.ts";
import { decodeTopic, decodeTopicPattern, encodeTopic, encodeTopicPattern } from "./topics.ts";

/** First token(s) of every subject when `FANWIRE_PREFIX` says nothing else. */
export const DEFAULT_PREFIX = "fanwire";

/**
 * Longest token that says a channel's name; longer names are hashed. NATS ends a connection that sends a line of over 4,096
 * bytes, and a queue's token is also the name of its consumer, for which JetStream allows 255.
 */
const MAX_CHANNEL_TOKEN = 200;
/** No encoded name begins like this: in those, two hexadecimal digits follow each `=`. */
const HASHED = "==";

/** A prefix is one or more plain tokens, so that it can neither hold a wildcard nor need an encoding. */
export function isPrefix(text: string): boolean {
  return text.length <= 100 && /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(text);
}

/**
 * Every NATS subject of a cluster. Subjects are built and parsed here and nowhere else.
 * Arguments are legal names (checked where they enter the system); a legal name can leave its branch in no way.
 */
export class Subjects {
  /** Everything that happens in the cluster: `nats sub 'fanwire.>'`. */
  readonly everything: string;
  /** Asks every worker; each answers. */
  readonly allWorkers: string;
  /** Workers tell here that they are there, and that they have ended. */
  readonly announcements: string;
  /** Every item of every Workerman Channel queue. */
  readonly channelQueues: string;
  /** Name of the JetStream stream that keeps durable publications. */
  readonly historyStream: string;
  /** Name of the JetStream stream that keeps the last publication of each subject. */
  readonly lastStream: string;
  /** Everything the history keeps, whoever it is for. */
  readonly allHistory: string;
  /** Everything that is heard at once, whoever it is for: where the history republishes to. */
  readonly allLive: string;

  readonly #live: string;
  readonly #history: string;
  readonly #worker: string;
  readonly #channel: string;

  constructor(prefix: string = DEFAULT_PREFIX) {
    if (!isPrefix(prefix)) throw new RangeError(`not a subject prefix: ${JSON.stringify(prefix)}`);
    this.everything = `${prefix}.>`;
    this.allWorkers = `${prefix}.control.workers`;
    this.announcements = `${prefix}.control.announcements`;
    this.#live = `${prefix}.live.`;
    this.#history = `${prefix}.history.`;
    this.#worker = `${prefix}.control.worker.`;
    this.#channel = `${prefix}.channel.`;
    this.channelQueues = `${this.#channel}queue.>`;
    this.historyStream = `${prefix.toUpperCase().replaceAll(".", "_")}_HISTORY`;
    this.lastStream = `${this.historyStream}_LAST`;
    this.allHistory = `${this.#history}>`;
    this.allLive = `${this.#live}>`;
  }

  /** Where a publication to `target` is heard at once. */
  live(target: Target): string {
    return this.#live + branch(target);
  }

  /** Where a publication to `target` is stored; the history republishes it to {@link live}. */
  history(target: DurableTarget): string {
    return this.#history + branch(target);
  }

  /** What the history keeps for `target`, whose topic may be a pattern: that of all topics it matches. */
  historyFilter(target: DurableTarget): string {
    return target.kind === "topic" ? `${this.#history}topic.${encodeTopicPattern(target.topic)}` : this.history(target);
  }

  /** All topics that `pattern` matches. */
  liveTopics(pattern: string): string {
    return `${this.#live}topic.${encodeTopicPattern(pattern)}`;
  }

  /** All connections of one worker, be it ours or a Workerman one. */
  liveConnections(workerId: string): string {
    return `${this.#live}connection.${workerId}.*`;
  }

  /** Asks one worker. */
  worker(workerId: string): string {
    return this.#worker + workerId;
  }

  /**
   * Carries the events, round-robin events or queue items of one Workerman Channel name. Names are bytes, here a string
   * with one character for each. A very long one is told by its hash, so that who reads must check the name itself.
   *
   * @param hash of such a string, in hexadecimal: long enough that two names never meet by chance, 100 characters at most.
   */
  channel(kind: "event" | "loop" | "queue", name: string, hash: (name: string) => string): string {
    return `${this.#channel}${kind}.${channelToken(name, hash)}`;
  }

  /** The topic or pattern behind a subject of {@link liveTopics}, or `undefined` for any other. */
  parseLiveTopics(subject: string): string | undefined {
    const start = `${this.#live}topic.`;
    return subject.startsWith(start) ? decodeTopicPattern(subject.slice(start.length)) : undefined;
  }

  /** Whose publications a live subject carries, or `undefined` for a subject that {@link live} never builds. */
  parseLive(subject: string): Target | undefined {
    return subject.startsWith(this.#live) ? parseBranch(subject.slice(this.#live.length)) : undefined;
  }

  /** Whose publications a history subject keeps, or `undefined` for a subject that {@link log} never builds. */
  parseHistory(subject: string): DurableTarget | undefined {
    const target = subject.startsWith(this.#history) ? parseBranch(subject.slice(this.#history.length)) : undefined;
    return target?.kind === "connection" ? undefined : target;
  }

  /** Where the history keeps what is heard on `liveSubject`, which may hold wildcards; `undefined` if that is no live subject. */
  historyOf(liveSubject: string): string | undefined {
    return moved(liveSubject, this.#live, this.#history);
  }

  /** Where what the history keeps under `historySubject` is heard; `undefined` if that is no subject of the history. */
  liveOf(historySubject: string): string | undefined {
    return moved(historySubject, this.#history, this.#live);
  }
}

function moved(subject: string, from: string, to: string): string | undefined {
  return subject.startsWith(from) ? to + subject.slice(from.length) : undefined;
}

function channelToken(name: string, hash: (name: string) => string): string {
  if (name.length <= MAX_CHANNEL_TOKEN) {
    const token = encodeByteToken(name);
    if (token.length <= MAX_CHANNEL_TOKEN) return token;
  }
  return HASHED + hash(name);
}

function branch(target: Target): string {
  switch (target.kind) {
    case "everyone":
      return "all";
    case "topic":
      return `topic.${encodeTopic(target.topic)}`;
    case "user":
      return `user.${encodeToken(target.user)}`;
    case "connection":
      return `connection.${formatConnectionAddress(target.connection)}`;
  }
}

function parseBranch(text: string): Target | undefined {
  if (text === "all") return { kind: "everyone" };

  const dot = text.indexOf(".");
  const rest = text.slice(dot + 1);
  switch (text.slice(0, Math.max(dot, 0))) {
    case "topic": {
      const topic = decodeTopic(rest);
      return topic === undefined ? undefined : { kind: "topic", topic };
    }
    case "user": {
      const user = decodeToken(rest);
      return user ? { kind: "user", user } : undefined;
    }
    case "connection": {
      const connection = parseConnectionAddress(rest);
      return connection && { kind: "connection", connection };
    }
    default:
      return undefined;
  }
}
