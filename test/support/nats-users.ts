import { fileURLToPath } from "node:url";
import { type NatsBus, startNatsBus } from "@fanwire/bus";
import { createLog } from "@fanwire/service";
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

export async function connectAs(url: string, user: NatsUser): Promise<NatsBus & AsyncDisposable> {
  const credentials = { kind: "user", user, password: user } as const;
  const bus = await startNatsBus({
    config: { servers: [url], prefix: "fanwire", credentials, tls: undefined },
    name: `test ${user}`,
    log: createLog("test", "silent"),
    signal: AbortSignal.timeout(20_000),
  });
  return Object.assign(bus, { [Symbol.asyncDispose]: () => bus.stop() });
}
