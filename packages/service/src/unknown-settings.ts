import { nearestName } from "./nearest-name.ts";
import { isServiceLink } from "./service-links.ts";

export type UnknownSetting = {
  readonly name: string;
  /** Known name with the smallest edit distance. */
  readonly nearest: string;
};

/** Variables with our prefixes that belong to other software or to our own tools. */
const FOREIGN = [
  // Laravel and other Pusher clients. Their `PUSHER_HOST` and `PUSHER_PORT` have the names of our settings.
  /^PUSHER_(APP_\w+|SCHEME|CLUSTER|URL|SOCKET_URL)$/,
  // The test suite, `npm start` and docker-compose.yml.
  /^FANWIRE_(TEST|CHAOS|RECOVERY)_\w+$/,
  /^FANWIRE_(DAMAGE_SEED|WRITE_IMAGES|STOP_GRACE|BIND|NATS_SERVER|NATS_PORT|METRICS_RETENTION)$/,
  /^FANWIRE_(PUSHER|PUBLISHER|CHANNEL|WEBHOOKS|APPS|MONITORING|PROMETHEUS|GRAFANA)_(BIND|PORT)$/,
  // The command line.
  /^FANWIRE_(API_URL|API_KEY|CLIENT_URL|TOKEN)$/,
];

/**
 * Returns the variables that share a prefix with a known one but that no service reads, in the order of `env`. Ignores
 * empty variables, which count as absent, and those of Kubernetes and Laravel.
 */
export function unknownSettings(
  env: Readonly<Record<string, string | undefined>>,
  known: readonly string[],
): UnknownSetting[] {
  const prefixes = new Set(known.map(prefixOf));
  return Object.entries(env).flatMap(([name, value = ""]) => {
    const isOurs = prefixes.has(prefixOf(name.toUpperCase())) && !known.includes(name);
    if (!isOurs || value === "" || isServiceLink(name, value) || FOREIGN.some((pattern) => pattern.test(name)))
      return [];
    return [{ name, nearest: nearestName(name.toUpperCase(), known)?.name ?? "" }];
  });
}

/** Returns `PUSHER_` for `PUSHER_TOKEN_SECRET`. */
function prefixOf(name: string): string {
  return name.slice(0, name.indexOf("_") + 1);
}
