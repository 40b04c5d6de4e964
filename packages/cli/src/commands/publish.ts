import type { Command } from "commander";
import { type ApiOptions, HttpApi } from "../api/http-api.ts";
import { CommandError, type Io, paint, writeJson } from "../io.ts";

type PublishOptions = ApiOptions & {
  readonly topic?: string[];
  readonly user?: string;
  readonly connection?: string;
  readonly everyone?: true;
  readonly event?: string;
  readonly id?: string;
  readonly except?: string;
  readonly durable?: true;
  readonly receipt?: true;
  readonly jsonData?: true;
  readonly json?: true;
};

const EXAMPLES = `
Examples:
  fanwire publish --topic news "hello"
  fanwire publish --user alice --durable --json-data '{"order": 17}'
  date | fanwire publish --everyone -`;

/** Adds `fanwire publish`, which publishes over the HTTP API. */
export function addPublish(program: Command, io: Io): void {
  program
    .command("publish")
    .description("Publish to topics, a user, a connection or everyone.")
    .argument("<data>", "content; - reads it from standard input")
    .option("-t, --topic <topic>", "topic; may be repeated", collect)
    .option("-u, --user <id>", "user of the application")
    .option("-c, --connection <address>", "one connection, as in k3v9q0xa.1")
    .option("--everyone", "all connections")
    .option("-e, --event <name>", "name of the event, default message")
    .option("--durable", "store it, so that clients that reconnect receive it")
    .option("--receipt", "wait for the workers and print how many connections received it")
    .option("--id <id>", "your own id; a durable publication with the same id is stored once within two minutes")
    .option("--except <address>", "connection that must not receive it")
    .option("--json-data", "<data> is JSON and is checked before it is sent")
    .option("--url <url>", "URL of the publisher")
    .option("--key <key>", "API key; other users of this machine see arguments, FANWIRE_API_KEY is private")
    .option("--json", "print the answer of the API as JSON")
    .addHelpText("after", EXAMPLES)
    .action((data: string, options: PublishOptions) => publish(io, data, options));
}

async function publish(io: Io, argument: string, options: PublishOptions): Promise<void> {
  const data = argument === "-" ? await io.readInput() : argument;
  if (options.jsonData) checkJson(data);
  const { event, durable, receipt, id, except } = options;
  const target = targetOf(options);
  const body = { target, data, event, durable, receipt, id, except };
  const answer = await new HttpApi(io, options).post("v1/publications", body);
  if (options.json) writeJson(io, answer);
  else for (const each of [answer].flat()) io.write(`${describeAnswer(io, each as Answer)}\n`);
}

function targetOf({ topic, user, connection, everyone }: PublishOptions): Record<string, unknown> {
  const given: Record<string, unknown>[] = [
    ...(topic === undefined ? [] : [topic.length === 1 ? { topic: topic[0] } : { topics: topic }]),
    ...(user === undefined ? [] : [{ user }]),
    ...(connection === undefined ? [] : [{ connection }]),
    ...(everyone === undefined ? [] : [{ everyone }]),
  ];
  const [target, another] = given;
  if (target === undefined || another !== undefined) {
    throw new CommandError("Give one target: --topic, --user, --connection or --everyone.");
  }
  return target;
}

function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

function checkJson(text: string): void {
  try {
    JSON.parse(text);
  } catch (cause) {
    throw new CommandError(`The data is not JSON: ${(cause as Error).message}`, { cause });
  }
}

type Answer = {
  readonly status?: string;
  readonly position?: string;
  readonly duplicate?: boolean;
  readonly receipt?: { delivered: number; buffered: number; workers: number; missing?: number; complete: boolean };
};

function describeAnswer(io: Io, { status = "published", position, duplicate, receipt }: Answer): string {
  const parts = [paint(io, "green", status)];
  if (position !== undefined) parts.push(`position ${position}`);
  if (duplicate) parts.push("stored before under this id");
  if (receipt !== undefined) parts.push(describeReceipt(io, receipt));
  return parts.join(", ");
}

function describeReceipt(
  io: Io,
  { delivered, buffered, workers, missing = 0, complete }: NonNullable<Answer["receipt"]>,
) {
  const counts = `${delivered} delivered, ${buffered} buffered by ${workers} workers`;
  if (complete) return counts;
  const reason = missing > 0 ? `${missing} workers did not answer` : "more workers may run";
  return `${counts}, ${paint(io, "yellow", `incomplete (${reason})`)}`;
}
