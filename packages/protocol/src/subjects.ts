import { formatConnectionAddress, parseConnectionAddress } from "./connection-address.ts";
import { isRestricted } from "./restricted-topics.ts";
import { decodeToken, encodeByteToken, encodeToken } from "./subject-tokens.ts";
import type { DurableTarget, Target } from "./target.ts";
import { decodeTopic, decodeTopicPattern, encodeTopic, encodeTopicPattern } from "./topics.ts";

/** First token of every subject when `FANWIRE_PREFIX` is not set. */
export const DEFAULT_PREFIX = "fanwire";

/**
 * Maximum length of a token that contains a channel's name; longer names are hashed. NATS closes a connection that
 * sends a line of over 4,096 bytes. A queue's token is also the name of its consumer, for which JetStream allows 255.
 */
const MAX_CHANNEL_TOKEN = 200;
/** No encoded name begins like this, because two hexadecimal digits follow each `=` there. */
const HASHED = "==";

/** Whether the text is one or more plain tokens, which hold no wildcard and need no encoding. */
export function isPrefix(text: string): boolean {
  return text.length <= 100 && /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(text);
}

/**
 * Every NATS subject of a cluster. Subjects are built and parsed here and nowhere else.
 * Arguments are legal names, checked where they enter the system. No legal name leads out of its branch.
 */
export class Subjects {
  /** All subjects of the cluster, for example `fanwire.>`. */
  readonly everything: string;
  /** Requests to all workers; each replies. */
  readonly allWorkers: string;
  /** Requests to all publishers, channel servers and webhook senders; each replies. */
  readonly allServices: string;
  /** Workers announce here that they have started or ended. */
  readonly announcements: string;
  /** Workers exchange here how many subscribers and signed-in users of Pusher apps they have. */
  readonly pusherCounts: string;
  /** All items of all Workerman Channel queues. */
  readonly channelQueues: string;
  /** Name of the JetStream stream of the queue items. */
  readonly channelQueueStream: string;
  /** Name of the JetStream stream that keeps durable publications. */
  readonly historyStream: string;
  /** Name of the JetStream stream that keeps the last publications of each subject. */
  readonly lastStream: string;
  /** All subjects under which the history stores publications. */
  readonly allHistory: string;
  /** All live subjects, to which the history also republishes. */
  readonly allLive: string;
  /** Reports of all workers about their connections. */
  readonly allReports: string;
  /** All events of the cluster. */
  readonly allEvents: string;
  /** All subjects under which the events of the cluster are stored. JetStream republishes them to {@link allEvents}. */
  readonly allStoredEvents: string;
  /** Name of the JetStream stream that stores the events of the cluster. */
  readonly eventStream: string;
  /** Name of the JetStream stream with the records of the webhook senders. */
  readonly webhookStream: string;
  /** All subjects of these records. */
  readonly allWebhookRecords: string;
  /** Workers send here what concerns the members of all topics. */
  readonly presenceWorkers: string;
  /** Publishers ask all workers here to report to a trace. */
  readonly traceLeases: string;

  readonly #presence: string;
  readonly #live: string;
  readonly #history: string;
  readonly #worker: string;
  readonly #channel: string;
  readonly #reports: string;
  readonly #snapshots: string;
  readonly #storedEvents: string;
  readonly #webhookRecords: string;
  readonly #trace: string;

  constructor(prefix: string = DEFAULT_PREFIX) {
    if (!isPrefix(prefix)) throw new RangeError(`not a subject prefix: ${JSON.stringify(prefix)}`);
    this.everything = `${prefix}.>`;
    this.allWorkers = `${prefix}.control.workers`;
    this.allServices = `${prefix}.control.services`;
    this.announcements = `${prefix}.control.announcements`;
    this.pusherCounts = `${prefix}.control.pusher-counts`;
    this.traceLeases = `${prefix}.control.traces`;
    this.#trace = `${prefix}.trace.`;
    this.#presence = `${prefix}.presence.`;
    this.presenceWorkers = `${this.#presence}workers`;
    this.#live = `${prefix}.live.`;
    this.#history = `${prefix}.history.`;
    this.#worker = `${prefix}.control.worker.`;
    this.#channel = `${prefix}.channel.`;
    this.channelQueues = `${this.#channel}queue.>`;
    const streamPrefix = prefix.toUpperCase().replaceAll(".", "_");
    this.channelQueueStream = `${streamPrefix}_CHANNEL_QUEUES`;
    this.historyStream = `${streamPrefix}_HISTORY`;
    this.lastStream = `${this.historyStream}_LAST`;
    this.allHistory = `${this.#history}>`;
    this.allLive = `${this.#live}>`;
    this.#reports = `${prefix}.reports.`;
    this.allReports = `${this.#reports}*`;
    this.#snapshots = `${prefix}.snapshots.`;
    this.allEvents = `${prefix}.events.>`;
    this.#storedEvents = `${prefix}.webhooks.events.`;
    this.allStoredEvents = `${this.#storedEvents}>`;
    this.eventStream = `${streamPrefix}_EVENTS`;
    this.#webhookRecords = `${prefix}.webhooks.records.`;
    this.allWebhookRecords = `${this.#webhookRecords}>`;
    this.webhookStream = `${streamPrefix}_WEBHOOKS`;
  }

  /** Returns the subject of the reports of one worker. */
  reports(workerId: string): string {
    return this.#reports + workerId;
  }

  /** Returns the subject of requests for a snapshot of one worker. */
  snapshots(workerId: string): string {
    return this.#snapshots + workerId;
  }

  /** Returns the subject under which an event of the cluster is stored. */
  storedEvent({ name, topic, connection }: { name: string; topic?: string; connection?: string }): string {
    if (topic !== undefined) return `${this.#storedEvents}${name}.${encodeTopic(topic)}`;
    const address = connection === undefined ? undefined : parseConnectionAddress(connection);
    return `${this.#storedEvents}${name}.${address === undefined ? "-" : formatConnectionAddress(address)}`;
  }

  /** Returns the subject under which an event is stored that an endpoint refused permanently. */
  deadEvent(endpoint: string): string {
    return `${this.#storedEvents}dead.${encodeToken(endpoint)}`;
  }

  /** Whether an event is stored under this subject because an endpoint refused it permanently. */
  isDeadEvent(storedSubject: string): boolean {
    return storedSubject.startsWith(`${this.#storedEvents}dead.`);
  }

  /** Returns the subject of a record of the webhook senders. */
  webhookRecord(name: string): string {
    return this.#webhookRecords + name;
  }

  /** Returns the subject of the reports of workers to one trace. */
  trace(id: string): string {
    return this.#trace + id;
  }

  /** Returns the subject of live publications to `target`. */
  live(target: Target): string {
    return this.#live + branch(target);
  }

  /** Returns the subject of durable publications to `target`. The history republishes them to {@link live}. */
  history(target: DurableTarget): string {
    return this.#history + branch(target);
  }

  /** Returns a filter of the history for `target`, whose topic may be a pattern. */
  historyFilter(target: DurableTarget): string {
    return target.kind === "topic" ? this.#history + topicBranch(target.topic) : this.history(target);
  }

  /** Returns the live subject of all topics that `pattern` matches. */
  liveTopics(pattern: string): string {
    return this.#live + topicBranch(pattern);
  }

  /** Returns the live subject of all connections of one worker, ours or a Workerman one. */
  liveConnections(workerId: string): string {
    return `${this.#live}connection.${workerId}.*`;
  }

  /** Returns the subject on which workers announce their members of a topic. */
  presence(topic: string): string {
    return `${this.#presence}${topicRoot(topic)}${encodeTopic(topic)}`;
  }

  /** Returns the subject of messages about members to one worker. */
  presenceWorker(workerId: string): string {
    return `${this.#presence}worker.${workerId}`;
  }

  /** Returns the subject of requests to one worker. */
  worker(workerId: string): string {
    return this.#worker + workerId;
  }

  /**
   * Returns the subject of the events, round-robin events or queue items of one Workerman Channel name. Names are
   * bytes, here a string with one character per byte. A very long name is replaced by its hash, so readers must check
   * the name.
   *
   * @param hash returns a hash of such a string in hexadecimal, free of collisions and at most 100 characters long.
   */
  channel(kind: "event" | "loop" | "queue", name: string, hash: (name: string) => string): string {
    return `${this.#channel}${kind}.${channelToken(name, hash)}`;
  }

  /** Returns the topic or pattern of a subject of {@link liveTopics}, or `undefined` for any other subject. */
  parseLiveTopics(subject: string): string | undefined {
    return subject.startsWith(this.#live)
      ? parseTopicBranch(subject.slice(this.#live.length), decodeTopicPattern)
      : undefined;
  }

  /** Returns the target of a live subject, or `undefined` for a subject that {@link live} never builds. */
  parseLive(subject: string): Target | undefined {
    return subject.startsWith(this.#live) ? parseBranch(subject.slice(this.#live.length)) : undefined;
  }

  /** Returns the target of a history subject, or `undefined` for a subject that {@link history} never builds. */
  parseHistory(subject: string): DurableTarget | undefined {
    const target = subject.startsWith(this.#history) ? parseBranch(subject.slice(this.#history.length)) : undefined;
    return target?.kind === "connection" ? undefined : target;
  }

  /** Returns the history subject for `liveSubject`, which may hold wildcards; `undefined` if it is no live subject. */
  historyOf(liveSubject: string): string | undefined {
    return moved(liveSubject, this.#live, this.#history);
  }

  /**
   * Returns the live subject for `historySubject`, which may hold wildcards; `undefined` if it is no history subject.
   */
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

/** Restricted topics have a branch of their own, which no pattern with a wildcard in its first token matches. */
function topicRoot(pattern: string): "topic." | "private." {
  return isRestricted(pattern) ? "private." : "topic.";
}

function topicBranch(pattern: string): string {
  return topicRoot(pattern) + encodeTopicPattern(pattern);
}

/** Returns undefined for a topic in the wrong branch. */
function parseTopicBranch(text: string, decode: (tokens: string) => string | undefined): string | undefined {
  const root = text.slice(0, text.indexOf(".") + 1);
  const topic = decode(text.slice(root.length));
  return topic !== undefined && topicRoot(topic) === root ? topic : undefined;
}

function branch(target: Target): string {
  switch (target.kind) {
    case "everyone":
      return "all";
    case "topic":
      return `${topicRoot(target.topic)}${encodeTopic(target.topic)}`;
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
    case "topic":
    case "private": {
      const topic = parseTopicBranch(text, decodeTopic);
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
