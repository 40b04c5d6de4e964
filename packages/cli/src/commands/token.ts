import type { Grant } from "@fanwire/tokens";
import type { Command } from "commander";
import { CommandError, type Io, paint, printable, writeJson } from "../io.ts";
import { type CheckedToken, checkToken } from "../tokens/check.ts";
import { formatDuration, parseDuration } from "../tokens/duration.ts";
import { mintToken } from "../tokens/mint.ts";

type MintOptions = {
  readonly user?: string;
  readonly topic: string[];
  readonly publish: string[];
  readonly presence: string[];
  readonly info?: string;
  readonly expires: string;
  readonly keyFile?: string;
  readonly json?: true;
};

const MINT_HELP = `
The token is signed with PUSHER_TOKEN_SECRET, or with the private key of --key-file. PUSHER_TOKEN_AUDIENCE and
PUSHER_TOKEN_ISSUER are put into it. Topics that begin with private- or presence- need a pattern that does so, too.

Example:
  fanwire token mint --user alice --topic 'orders.*' --topic news --presence lobby --expires 15m`;

/** Adds `fanwire token mint` and `fanwire token check`, which read the variables of the pusher. */
export function addToken(program: Command, io: Io): void {
  const token = program.command("token").description("Sign tokens, and check them as a pusher does.");
  token
    .command("mint", { isDefault: true })
    .description("Sign a token and print it.")
    .option("-u, --user <id>", "user (claim sub)")
    .option("-t, --topic <pattern>", "topic or pattern it may subscribe to; may be repeated", collect, [])
    .option("-p, --publish <pattern>", "topic or pattern it may publish to; may be repeated", collect, [])
    .option("--presence <pattern>", "topic or pattern it may join with presence; may be repeated", collect, [])
    .option("--info <json>", "JSON value that other members see beside the user")
    .option("-e, --expires <duration>", "30s, 15m, 2h, 7d or never", "1h")
    .option("--key-file <path>", "private key in PEM: RSA, P-256 or Ed25519")
    .option("--json", "print JSON with the token and its expiry")
    .addHelpText("after", MINT_HELP)
    .action((options: MintOptions) => mint(io, options));
  token
    .command("check")
    .description("Check a token as a pusher with the same variables does. Exit code 1 if it is refused.")
    .argument("<token>", "the token; - reads it from standard input")
    .option("--json", "print JSON")
    .action((text: string, options: { readonly json?: true }) => check(io, text, options));
}

async function mint(io: Io, options: MintOptions): Promise<void> {
  const { user, topic: topics, publish, presence, expires, keyFile } = options;
  const info = options.info === undefined ? undefined : parseInfo(options.info);
  const lifetimeSeconds = expires === "never" ? undefined : parseDuration(expires);
  const rights = { ...(user !== undefined && { user }), topics, publish, presence, info };
  const token = await mintToken(io, { ...rights, lifetimeSeconds, keyFile });
  if (options.json) writeJson(io, { token, expiresInSeconds: lifetimeSeconds ?? null });
  else io.write(`${token}\n`);
}

function parseInfo(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CommandError(`--info is not JSON: ${(cause as Error).message}`, { cause });
  }
}

async function check(io: Io, argument: string, { json }: { readonly json?: true }): Promise<void> {
  const text = (argument === "-" ? await io.readInput() : argument).trim();
  const checked = await checkToken(io, text);
  const { isVerified, grant, expiresAt } = checked;
  if (json) writeJson(io, { verified: isVerified, ...rightsOf(grant), expiresAt: expiresAt ?? null });
  else io.write(`${describe(io, checked)}\n`);
  if (!isVerified) {
    io.note(
      "Not verified: no key is set. Pushers without PUSHER_TOKEN_SECRET, _PUBLIC_KEY_FILE or _JWKS_URL ignore tokens.",
    );
  }
}

function rightsOf({ user, topics, publish, presence, info }: Grant): object {
  return { user, topics, publish, presence, info };
}

function describe(io: Io, { isVerified, grant: rights, expiresAt }: CheckedToken): string {
  const list = (patterns: readonly string[]) => (patterns.length === 0 ? "nothing" : printable(patterns.join("  ")));
  const left = expiresAt === undefined ? undefined : expiresAt - Date.now() / 1_000;
  return [
    isVerified ? paint(io, "green", "valid") : paint(io, "yellow", "not verified"),
    `user       ${rights.user === undefined ? "none" : printable(rights.user)}`,
    `subscribe  ${list(rights.topics)}`,
    `publish    ${list(rights.publish)}`,
    `presence   ${list(rights.presence)}`,
    ...(rights.info === undefined ? [] : [`info       ${printable(JSON.stringify(rights.info))}`]),
    `expires    ${left === undefined ? "never" : left < 0 ? "it has expired" : `in ${formatDuration(left)}`}`,
  ].join("\n");
}

function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}
