import type { TemplatedApp, WebSocket } from "uWebSockets.js";
import type { Connection, ConnectionState } from "../connections/connection.ts";
import type { UwsTopics } from "../fanout/subscriber-groups.ts";

type PublishingApp = {
  readonly app: Pick<TemplatedApp, "publish" | "numSubscribers">;
  /** As in the state of its connections. */
  readonly number: number;
};

/**
 * The topics of several apps of uWebSockets.js, each of which knows only its own WebSockets. A publication may close
 * connections, which may end an app. So `apps` must return another list when the apps have changed.
 */
export class UwsAppTopics implements UwsTopics {
  readonly #apps: () => readonly PublishingApp[];

  constructor(apps: () => readonly PublishingApp[]) {
    this.#apps = apps;
  }

  numSubscribers(topic: string): number {
    let subscribers = 0;
    for (const { app } of this.#apps()) subscribers += app.numSubscribers(topic);
    return subscribers;
  }

  publish(topic: string, frame: string | Uint8Array, isBinary: boolean, except?: Connection): void {
    const exceptedApp = except?.getUserData().app;
    for (const { app, number } of this.#apps()) {
      if (number !== exceptedApp) app.publish(topic, frame, isBinary);
    }
    // Publishes to the app of the WebSocket, except to itself.
    if (except) (except as Connection & WebSocket<ConnectionState>).publish(topic, frame, isBinary);
  }
}
