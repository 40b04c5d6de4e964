import { CommandError, type Io } from "../io.ts";

type Env = Io["env"];

/** Returns the URL of a publisher, by default on this machine at the port of its own variable. */
export function apiUrl(env: Env, given?: string): string {
  return checked(given || env.FANWIRE_API_URL || `http://127.0.0.1:${portOf(env.PUBLISHER_PORT) ?? 4237}`, [
    "http:",
    "https:",
  ]);
}

/** Returns the URL of a pusher, by default on this machine at the port of its own variable. */
export function clientUrl(env: Env, given?: string): string {
  const url = given || env.FANWIRE_CLIENT_URL || `ws://127.0.0.1:${portOf(env.PUSHER_PORT) ?? 4236}`;
  return checked(url, ["ws:", "wss:", "http:", "https:"]);
}

/** Kubernetes sets `PUSHER_PORT` to a URL. */
function portOf(text: string | undefined): string | undefined {
  return /^[1-9][0-9]*$/.test(text ?? "") ? text : undefined;
}

function checked(text: string, protocols: readonly string[]): string {
  if (URL.canParse(text) && protocols.includes(new URL(text).protocol)) return text;
  throw new CommandError(`${text} is no URL that begins with ${protocols.map((each) => `${each}//`).join(", ")}.`);
}
