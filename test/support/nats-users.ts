import { fileURLToPath } from "node:url";
import { openBus, type TestBus } from "./bus.ts";
import { startNats, type TestNats } from "./nats.ts";

const CONF = fileURLToPath(new URL("../../deploy/nats-users.conf", import.meta.url));

export type NatsUser = "pusher" | "publisher" | "channel" | "webhooks" | "operator";

/** Starts NATS with the users of the compose file. Their passwords are their names. */
export function startNatsWithUsers(): Promise<TestNats> {
  const users: readonly NatsUser[] = ["pusher", "publisher", "channel", "webhooks", "operator"];
  const env = Object.fromEntries(users.map((user) => [`NATS_${user.toUpperCase()}_PASSWORD`, JSON.stringify(user)]));
  return startNats(["-c", CONF], { env });
}

/** Returns the settings of a service that connects as this user. */
export function natsUser(user: NatsUser): Record<string, string> {
  return { FANWIRE_NATS_USER: user, FANWIRE_NATS_PASSWORD: user };
}

export function connectAs(url: string, user: NatsUser): Promise<TestBus> {
  return openBus({ servers: [url], credentials: { kind: "user", user, password: user } });
}
