import type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket, WebSocketBehavior } from "uWebSockets.js";
import { createRequire } from "node:module";
import type { ConnectionState } from "../connections/connection.ts";
import type { UwsTopics } from "../fanout/subscriber-groups.ts";
import type { TimeSlices } from "../pacing/time-slices.ts";
import type { TlsFiles } from "../tls/certificate.ts";
import { pathProblem } from "../wire/opening-request.ts";
import { answerRefusal, otherClientAt, type TurnedAway, turnedAway } from "./refusals.ts";
import { RequestPace } from "./request-pace.ts";
import { UwsAppTopics } from "./uws-app-topics.ts";

/** Loads uWebSockets.js late, because it reads the maximum size of a request head (main.ts) when it is loaded. */
function loadEngine(): typeof import("uWebSockets.js") {
  return createRequire(import.meta.url)("uWebSockets.js");
}

type Handler = (response: HttpResponse, request: HttpRequest) => void;
type Behavior = WebSocketBehavior<ConnectionState>;
type Method = "get" | "options" | "post" | "any";

/** Adds routes to every app of the port, also to later ones. Has the methods of uWebSockets.js. */
export type Routes = {
  readonly [Name in Method]: (pattern: string, handler: Handler) => Routes;
} & { ws(pattern: string, behavior: Behavior): Routes };

/** One app of uWebSockets.js, and what belongs to it. */
type OpenApp = {
  readonly app: TemplatedApp;
  /** Identifies the app in the state of its connections. */
  readonly number: number;
  /** Open WebSockets. */
  sockets: number;
  listenSocket: us_listen_socket | undefined;
};

type Address = { readonly host: string; readonly port: number };

/**
 * The port that all protocols share. Only this file runs uWebSockets.js, and others import its types. An app reads its
 * certificate once. So a renewed certificate needs another app, and the connections of the earlier one stay open.
 */
export class UwsApp {
  readonly #engine = loadEngine();
  /** Option of {@link Routes.ws}. Compression takes five times the CPU of a delivery. */
  readonly noCompression = this.#engine.DISABLED;
  readonly app: Routes;
  /** Publishes to the WebSockets of all apps. */
  readonly topics: UwsTopics;
  readonly pace: RequestPace;

  /** The newest is the first. The others still listen, or have open WebSockets. Never changed in place. */
  #apps: readonly [OpenApp, ...OpenApp[]];
  /** Adds each route to an app. */
  readonly #routes: ((opened: OpenApp) => void)[] = [];
  #lastNumber = 0;
  /** Defined while the port is open. */
  #address: Address | undefined;

  /** With files, the port is served with TLS only. @throws if uWebSockets.js cannot use the files. */
  constructor(files: TlsFiles | undefined, slices: Pick<TimeSlices, "turn">) {
    this.pace = new RequestPace(slices);
    this.#apps = [this.#create(files)];
    this.topics = new UwsAppTopics(() => this.#apps);
    const on = (name: Method) => (pattern: string, handler: Handler) =>
      this.#add(({ app }) => void app[name](pattern, handler));
    this.app = {
      get: on("get"),
      options: on("options"),
      post: on("post"),
      any: on("any"),
      ws: (pattern, behavior) => this.#add((opened) => this.#addSockets(opened, pattern, behavior)),
    };
  }

  #create(files: TlsFiles | undefined): OpenApp {
    const { App, SSLApp } = this.#engine;
    const app = files === undefined ? App() : SSLApp({ cert_file_name: files.certFile, key_file_name: files.keyFile });
    this.#lastNumber++;
    return { app, number: this.#lastNumber, sockets: 0, listenSocket: undefined };
  }

  #add(route: (opened: OpenApp) => void): Routes {
    this.#routes.push(route);
    for (const opened of this.#apps) route(opened);
    return this.app;
  }

  /** Counts the WebSockets of the app, so that it is dropped after the last one. */
  #addSockets(opened: OpenApp, pattern: string, behavior: Behavior): void {
    opened.app.ws<ConnectionState>(pattern, {
      ...behavior,
      open: (socket) => {
        opened.sockets++;
        // A client may upgrade an HTTP connection that it opened before the app was dropped.
        if (!this.#apps.includes(opened)) this.#apps = [...this.#apps, opened];
        socket.getUserData().app = opened.number;
        this.pace.opened(socket);
        return behavior.open?.(socket);
      },
      close: (socket, code, message) => {
        this.pace.closed(socket);
        behavior.close?.(socket, code, message);
        opened.sockets--;
        this.#dropUnused();
      },
    });
  }

  /**
   * Must be called after all routes are added. Several workers of one machine may listen on the same port.
   * `hasPusherApps`: a route serves the Pusher protocol.
   */
  async listen(host: string, port: number, hasPusherApps: boolean): Promise<void> {
    this.app.any("/*", (response, request) => {
      const refusal = refusalAt(request.getUrl(), hasPusherApps);
      const isHead = request.getMethod() === "head";
      this.pace.answer(response, 0, () => answerRefusal(response, refusal, { isHead }));
    });
    await this.#listen(this.#apps[0], { host, port });
    this.#address = { host, port };
  }

  #listen(opened: OpenApp, { host, port }: Address): Promise<void> {
    return new Promise((resolve, reject) => {
      opened.app.listen(host, port, (listenSocket) => {
        if (listenSocket === false) return reject(new Error(`cannot listen on ${host}:${port}`));
        opened.listenSocket = listenSocket;
        resolve();
      });
    });
  }

  /**
   * Serves new connections with another certificate. Open connections stay.
   *
   * @throws if uWebSockets.js cannot use the files, or cannot listen. Then nothing changes.
   */
  async renew(files: TlsFiles): Promise<void> {
    const address = this.#address;
    if (address === undefined) throw new Error("the port is closed");
    const renewed = this.#create(files);
    for (const route of this.#routes) route(renewed);
    const earlier = this.#apps;
    // Must be among the apps before its first connection.
    this.#apps = [renewed, ...earlier];
    try {
      await this.#listen(renewed, address);
    } catch (error) {
      this.#apps = earlier;
      throw error;
    }
    // In the poll phase before this, the earlier app accepts what waits in its queue. The kernel resets what is in it
    // at the close.
    await pollPhase();
    for (const opened of earlier) this.#stopListening(opened);
    this.#dropUnused();
  }

  #stopListening(opened: OpenApp): void {
    if (opened.listenSocket) this.#engine.us_listen_socket_close(opened.listenSocket);
    opened.listenSocket = undefined;
  }

  /**
   * Drops earlier apps without WebSockets. Their event streams continue, because nothing reaches these through the app.
   */
  #dropUnused(): void {
    if (this.#apps.length === 1) return;
    const [newest, ...others] = this.#apps;
    const used = others.filter(({ sockets, listenSocket }) => sockets > 0 || listenSocket !== undefined);
    if (used.length < others.length) this.#apps = [newest, ...used];
  }

  /** Stops accepting connections. Open connections stay open. */
  closePort(): void {
    this.#address = undefined;
    for (const opened of this.#apps) this.#stopListening(opened);
  }

  /** Closes all connections. */
  close(): void {
    this.closePort();
    for (const { app } of this.#apps) app.close();
  }
}

/** Returns why a request that has no route is refused. */
function refusalAt(path: string, hasPusherApps: boolean): TurnedAway {
  const problem = pathProblem(path, hasPusherApps);
  if (problem !== undefined) return turnedAway("path", problem);
  const otherClient = otherClientAt(path);
  return otherClient === undefined ? turnedAway("upgrade") : turnedAway("path", otherClient);
}

/** Resolves after the event loop has read its sockets once. */
function pollPhase(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}
