// Declares `AsyncDisposable` for applications whose compiler options do not have it.
/// <reference lib="esnext.disposable" preserve="true" />
import { Backoff } from "./backoff.ts";
import { checkTypes } from "./check-types.ts";
import type { ClientOptions, ClientState } from "./client-options.ts";
import { closeAdvice, TOKEN_REFUSED } from "./close-advice.ts";
import { CommandSender, type OkReply } from "./commands.ts";
import { connectionUrl } from "./connection-url.ts";
import { FanwireError } from "./error.ts";
import { guarded } from "./guarded.ts";
import { placeToken } from "./handshake.ts";
import {
  type Message,
  type PresenceMessage,
  type PublicationMessage,
  publicationFrom,
  type Reply,
  type Welcome,
} from "./messages.ts";
import { isAfter } from "./position.ts";
import { MemberList, type Presence } from "./presence.ts";
import { Progress } from "./progress.ts";
import { QueryTopics } from "./query-topics.ts";
import { absoluteUrl, globalWebSocket } from "./surroundings.ts";
import { TokenSource } from "./token.ts";
import { TokenRefresh } from "./token-refresh.ts";
import { TopicSubscriber } from "./topic-subscriber.ts";
import { type Subscribed, Topics } from "./topics.ts";
import { PING_ID, Transport, type WebSocketConstructor } from "./transport.ts";
import { type Waking, watchWaking } from "./wake.ts";

/** A connection that lasted longer resets the backoff. */
const STABLE_AFTER_MS = 10_000;

/**
 * Connects to a pusher, and reconnects until the client is closed.
 *
 * @throws TypeError for an invalid URL, or when there is no WebSocket.
 * @throws FanwireError `invalid` for an option of another type.
 */
export function connect(options: ClientOptions): Client {
  return new Client(options);
}

class Client implements AsyncDisposable {
  readonly #options: ClientOptions;
  readonly #base: URL;
  readonly #WebSocket: WebSocketConstructor;
  readonly #tokens: TokenSource;
  readonly #refresh: TokenRefresh;
  readonly #topics: Topics;
  readonly #queryTopics: QueryTopics;
  readonly #sender: CommandSender;
  readonly #subscriber: TopicSubscriber;
  readonly #backoff = new Backoff();
  #state: ClientState = { state: "connecting" };
  readonly #progress: Progress;
  readonly #stopWatching: () => void;
  #transport: Transport | undefined;
  /** Topics in the query of the current connection. */
  #asked: ReadonlySet<string> = new Set();
  /** Sends the token of the current connection, unless the handshake had it. Undefined once the worker accepts it. */
  #presentToken: (() => Promise<boolean | null>) | undefined;
  #welcomedAt: number | undefined;
  #address: string | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ClientOptions) {
    const { url, topics = [], token, since, commandTimeoutMs = 10_000 } = options;
    const { onPublication, onState = () => {}, onRefused = () => {} } = options;
    checkTypes("string", { url: typeof url === "string" ? url : url?.href, since: since ?? "" });
    checkTypes("array", { topics });
    checkTypes("function", { onPublication, onState, onRefused });
    // NaN and 0 would end each command at once.
    checkTypes("number", { commandTimeoutMs: commandTimeoutMs > 0 && commandTimeoutMs });
    this.#options = options;
    this.#base = absoluteUrl(url);
    this.#WebSocket = options.WebSocket ?? globalWebSocket();
    this.#tokens = new TokenSource(token);
    this.#refresh = new TokenRefresh(this.#tokens, (renewed) =>
      // Not rate-limited: the token must not expire behind a queue of publications.
      this.#sender.execute({ command: "refresh", token: renewed }, (reply) => this.#onDropped(reply)),
    );
    this.#topics = new Topics(topics);
    this.#queryTopics = new QueryTopics(topics);
    this.#sender = new CommandSender(commandTimeoutMs, () => this.#unsentError());
    this.#subscriber = new TopicSubscriber({
      topics: this.#topics,
      sender: this.#sender,
      onRefused: (topic, error) => this.#onRefused(topic, error),
    });
    this.#progress = new Progress(since ?? undefined);
    this.#stopWatching = watchWaking((waking) => this.#wake(waking));
    // Deferred until the caller has the client, because callbacks may use it.
    queueMicrotask(() => void this.#connect());
  }

  get state(): ClientState["state"] {
    return this.#state.state;
  }

  /**
   * Position `<epoch>-<sequence>` up to which everything was received, for `since` of a later client. `undefined`
   * before the first one. While topics catch up, it is the position of the one that is furthest behind.
   */
  get position(): string | undefined {
    let { position } = this.#progress;
    const { userSince } = this.#progress;
    for (const { since } of [{ since: userSince }, ...this.#topics.all()]) {
      if (position && since && isAfter(position, since)) position = since;
    }
    return position;
  }

  /** Address `<workerId>.<connectionId>` of the connection in the cluster; `undefined` while not connected. */
  get address(): string | undefined {
    return this.#address;
  }

  /**
   * Subscribes to a topic or pattern, now and after every reconnect. Resolves once the worker has subscribed the
   * connection; without a connection, after the next one is open. The worker then also delivers the durable
   * publications since the last position.
   *
   * With `since`, a topic that is subscribed already starts over from this position: its durable publications after
   * `since` are delivered again, others may be missed meanwhile. Other subscriptions receive nothing twice.
   *
   * Rejects with a {@link FanwireError} when the worker refuses the topic (`forbidden`, `topic-limit`, `invalid`) or
   * does not reply (`timeout`), or when the client is closed (`closed`). The topic is then not retried.
   */
  async subscribe(topic: string, options: { readonly since?: string } = {}): Promise<Subscribed> {
    const since = options.since ?? undefined;
    checkTypes("object", { options });
    checkTypes("string", { topic, since: since ?? "" });
    if (this.#isClosed) throw this.#closedError();
    const [added, isNew] = this.#topics.add(topic, since);
    added.isPlain = true;
    if (!isNew && since !== undefined) {
      added.restart(since);
      // A worker ignores `since` of a topic that is subscribed already.
      if (this.#isOpen) this.#subscriber.unsubscribe(topic).catch(() => {});
    }
    if (this.#isOpen && (isNew || since !== undefined)) {
      this.#subscriber.subscribe(added);
      this.#subscriber.join(added);
    }
    return await added.subscribed;
  }

  /**
   * Unsubscribes from a topic or pattern. Resolves at once without a connection. Rejects with {@link FanwireError}. A
   * topic where the client is present stays subscribed until it leaves.
   */
  async unsubscribe(topic: string): Promise<void> {
    checkTypes("string", { topic });
    const known = this.#topics.get(topic);
    if (known?.members) {
      known.isPlain = false;
      return;
    }
    if (known) this.#topics.remove(known, new FanwireError("closed", "unsubscribed"));
    await this.#subscriber.unsubscribe(topic);
  }

  /**
   * Makes the user of the token present on a topic, now and after every reconnect, and returns its members. Subscribes
   * to the topic too. Returns the same object until the presence ends.
   *
   * @throws FanwireError `invalid` if the topic is not a string.
   */
  presence(topic: string): Presence {
    checkTypes("string", { topic });
    const [entered, isNew] = this.#topics.add(topic);
    if (entered.members) return entered.members;
    if (isNew) entered.isPlain = false;
    const leave = () => this.#subscriber.leave(entered, members, new FanwireError("closed", "left"));
    const members = new MemberList(topic, leave);
    entered.members = members;
    if (this.#isClosed) this.#topics.remove(entered, this.#closedError());
    if (this.#isOpen) {
      if (isNew) this.#subscriber.subscribe(entered);
      this.#subscriber.join(entered);
    }
    return members;
  }

  /**
   * Publishes text to a topic. Resolves when NATS has the publication. Rejects with a {@link FanwireError}:
   * `disconnected` without a connection, because nothing is buffered for the next one; `busy` beyond a mebibyte of
   * waiting publications, because the client sends no faster than workers accept; `invalid` for content that is not
   * text; or a code of the worker.
   */
  async publish(topic: string, data: string, options: { readonly event?: string } = {}): Promise<void> {
    const { event } = options;
    checkTypes("object", { options });
    checkTypes("string", { topic, data, event: event ?? "" });
    // Checked before the wait, because another connection may be open after it.
    if (!this.#isOpen) throw this.#unsentError();
    const size = topic.length + data.length;
    if (!this.#sender.hasRoom(size)) throw new FanwireError("busy", "publish buffer full");
    await this.#sender.executeLimited({ command: "publish", topic, data, event }, undefined, size);
  }

  /** Closes the client. Pending calls reject with the code `closed`. */
  close(): void {
    this.#stop(1000, "closed by this side");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  get #isClosed(): boolean {
    return this.#state.state === "closed";
  }

  get #isOpen(): boolean {
    return this.#sender.isOpen;
  }

  async #connect(): Promise<void> {
    if (this.#isClosed) return;
    this.#setState({ state: "connecting" });
    if (this.#isClosed) return;
    let token: string | undefined;
    try {
      token = await this.#tokens.get();
    } catch (error) {
      this.#retry(1006, `no token: ${error}`);
      return;
    }
    if (this.#isClosed) return;
    this.#openTransport(token);
  }

  #openTransport(givenToken: string | undefined): void {
    const names = this.#topics.all().flatMap(({ name, since }) => (since === undefined ? [name] : []));
    const { position: since, userSince } = this.#progress;
    const { protocols, token, firstCommand } = placeToken(givenToken, userSince !== undefined);
    // Before the first command the worker allows public topics only.
    const topics = firstCommand === undefined ? this.#queryTopics.select(names) : [];
    const { url, asked } = connectionUrl({ base: this.#base, token, since, topics });
    this.#presentToken = firstCommand === undefined ? undefined : () => this.#present(firstCommand, since);
    this.#asked = asked;
    try {
      this.#transport = new Transport({
        WebSocket: this.#WebSocket,
        url,
        protocols,
        onMessage: (message) => this.#onMessage(message),
        onEnd: (code, reason) => this.#onEnd(code, reason),
      });
    } catch (error) {
      // For example an https page may not open ws. A retry would fail in the same way.
      this.#stop(1006, String(error));
    }
  }

  #onMessage(message: Message): void {
    if (message.type === "welcome") this.#onWelcome(message);
    else if (message.type === "publication") this.#onPublication(message);
    else if (message.type === "presence") this.#onPresence(message);
    else if (message.type === "unsubscribed") this.#onUnsubscribed(message.topic);
    else if (message.type === "reply") this.#onReply(message);
  }

  #onWelcome({ connection, position, recovered }: Welcome): void {
    this.#welcomedAt = performance.now();
    this.#queryTopics.onAccepted();
    const transport = this.#transport;
    if (transport) this.#sender.open(transport);
    this.#address = connection;
    const { position: since } = this.#progress;
    // Missed publications follow and advance the position. Until then the old position counts.
    if (recovered !== true) this.#progress.restart(position);
    this.#refresh.start();

    const abandon = (reason: string) => transport?.abandon(reason);
    const restoring: Promise<boolean | null>[] = [];
    if (this.#presentToken) restoring.push(this.#presentToken());
    for (const name of this.#asked) {
      const topic = this.#topics.get(name);
      if (topic?.since === undefined) topic?.onSubscribed({ recovered });
      // The topic was unsubscribed, or restarted from another position, after the handshake was sent.
      if (topic === undefined || topic.since !== undefined) this.#subscriber.unsubscribe(name).catch(() => {});
    }
    for (const topic of this.#topics.all()) {
      if (topic.since === undefined && this.#asked.has(topic.name)) continue;
      topic.since ??= since;
      restoring.push(this.#subscriber.restore(topic, abandon));
    }
    for (const topic of this.#topics.all()) this.#subscriber.join(topic);
    if (restoring.length === 0) this.#setState({ state: "open", address: connection, recovered });
    else void Promise.all(restoring).then((restored) => this.#onRestored(connection, [recovered, ...restored]));
  }

  #onReply(reply: Reply): void {
    this.#sender.onReply(reply);
    // The reply to a ping has the position up to which everything was sent, so that the position of a quiet connection
    // stays recent.
    const position = reply.id === PING_ID && reply.ok ? reply.position : undefined;
    if (position === undefined) return;
    this.#progress.advance(position);
    this.#topics.caughtUp();
    if (!this.#presentToken) this.#progress.userSince = undefined;
  }

  /** Sends the token as the first command. The worker executes later commands with the permissions of the token. */
  async #present(token: string, connectionSince: string | undefined): Promise<boolean | null> {
    const transport = this.#transport;
    this.#progress.userSince ??= connectionSince;
    const { userSince: since } = this.#progress;
    try {
      const { recovered = null } = await this.#sender.execute({ command: "refresh", token, since }, (reply) => {
        this.#presentToken = undefined;
        this.#progress.userSince = reply.recovered === undefined ? undefined : reply.position;
        this.#onDropped(reply);
      });
      return recovered;
    } catch (error) {
      const isRefused = error instanceof FanwireError && error.code === "unauthorized";
      transport?.abandon(String(error), isRefused ? TOKEN_REFUSED : undefined);
      return false;
    }
  }

  /** The application has ended a subscription. One that a command begins meanwhile stays. */
  #onUnsubscribed(name: string): void {
    const topic = this.#topics.get(name);
    if (!topic?.isSubscribed) return;
    // A request for its members may be under way, which would subscribe the connection again.
    if (topic.members) this.#subscriber.unsubscribe(name).catch(() => {});
    this.#onDropped({ dropped: [name] });
  }

  #onDropped({ dropped = [], presenceDropped = [] }: Pick<OkReply, "dropped" | "presenceDropped">): void {
    const error = new FanwireError("forbidden", "no longer authorized");
    for (const name of dropped) {
      const topic = this.#topics.get(name);
      if (topic) this.#topics.remove(topic, error);
      this.#onRefused(name, error);
    }
    for (const name of presenceDropped) {
      const topic = this.#topics.get(name);
      if (topic?.members) this.#subscriber.leave(topic, topic.members, error).catch(() => {});
    }
  }

  #onRestored(address: string, outcomes: readonly (boolean | null)[]): void {
    if (this.#address !== address) return;
    const recovered = outcomes.includes(false) ? false : outcomes.includes(true) ? true : null;
    this.#setState({ state: "open", address, recovered });
  }

  #onPublication(message: PublicationMessage): void {
    const publication = publicationFrom(message);
    const resume = message.resume ?? publication.position;
    const isCatchingUp = message.since !== undefined;
    const isNew = this.#topics.receive({ ...publication, resume, isCatchingUp }, this.#progress);
    if (isNew) guarded(() => this.#options.onPublication(publication));
  }

  #onPresence(message: PresenceMessage): void {
    const topic = this.#topics.get(message.topic);
    if (topic?.members?.onChange(message)) topic.members.askSometime(() => this.#subscriber.join(topic));
  }

  #onEnd(code: number, reason: string): void {
    const welcomedAt = this.#welcomedAt;
    this.#forgetTransport(new FanwireError("disconnected", "connection lost before the reply"));
    if (welcomedAt !== undefined && performance.now() - welcomedAt >= STABLE_AFTER_MS) this.#backoff.reset();

    const advice = closeAdvice(code);
    if (advice === "renew-token") this.#tokens.discard();
    const mayAskAgain = welcomedAt === undefined && this.#queryTopics.onRefused(code, this.#asked);
    const isFinal = advice === "stop" ? !mayAskAgain : advice === "renew-token" && !this.#tokens.isRenewable;
    if (isFinal) this.#stop(code, reason);
    else this.#retry(code, reason);
  }

  #retry(code: number, reason: string): void {
    if (this.#isClosed) return;
    const retryInMs = this.#backoff.next();
    this.#retryTimer = setTimeout(() => void this.#connect(), retryInMs);
    this.#setState({ state: "waiting", retryInMs, code, reason });
  }

  /** Retries at once instead of after the backoff, because the browser reports a change. */
  #wake(waking: Waking): void {
    if (waking === "restored") this.#transport?.abandon("closed by the back/forward cache");
    if (this.#state.state === "waiting") {
      clearTimeout(this.#retryTimer);
      void this.#connect();
    } else this.#transport?.check();
  }

  #stop(code: number, reason: string): void {
    if (this.#isClosed) return;
    clearTimeout(this.#retryTimer);
    this.#stopWatching();
    this.#tokens.stop();
    this.#transport?.close();
    this.#forgetTransport(this.#closedError());
    for (const topic of this.#topics.all()) this.#topics.remove(topic, this.#closedError());
    this.#setState({ state: "closed", code, reason });
  }

  #forgetTransport(error: FanwireError): void {
    this.#refresh.stop();
    this.#transport = undefined;
    this.#welcomedAt = undefined;
    this.#address = undefined;
    this.#topics.disconnected();
    this.#sender.close(error);
  }

  /** Returns the error of a command that cannot be sent. */
  #unsentError(): FanwireError {
    return this.#isClosed ? this.#closedError() : new FanwireError("disconnected", "not connected");
  }

  #closedError(): FanwireError {
    return new FanwireError("closed", "the client is closed");
  }

  #onRefused(topic: string, error: FanwireError): void {
    guarded(() => this.#options.onRefused?.(topic, error));
  }

  #setState(state: ClientState): void {
    this.#state = state;
    guarded(() => this.#options.onState?.(state));
  }
}

export type { Client };
