import { inspect } from "node:util";

// Not util.styleText: it looks at standard output by itself, in other ways in other versions of Node 20.
const colourCodes = { dim: 2, red: 31, yellow: 33, cyan: 36 };
type Colour = keyof typeof colourCodes;

/** Pino's numbers, for logs that keep them. */
const levelNames: Record<string, string> = {
  10: "trace",
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
  60: "fatal",
};
const levelColours: Record<string, Colour> = { warn: "yellow", error: "red", fatal: "red" };
/** The same in every line of a service, or said by its prefix. */
const dropped = new Set(["service", "pid", "hostname"]);

export type LogLineStyle = { readonly nameWidth: number; readonly colours: boolean };

/**
 * A log line for people: time, service, level, message, then the remaining fields. Takes what pino writes; any other
 * line (a stack trace of Node) stays as it is behind the name of its service.
 */
export function formatLogLine(name: string, line: string, { nameWidth, colours }: LogLineStyle): string {
  const paint = (colour: Colour | undefined, text: string) =>
    colours && colour ? `\u001b[${colourCodes[colour]}m${text}\u001b[0m` : text;
  const prefix = paint("cyan", name.padEnd(nameWidth));
  const entry = parseEntry(line);
  if (entry === undefined) return `${prefix}  ${line}`;

  const { time, level, msg, err, ...rest } = entry;
  const levelName = levelNames[String(level)] ?? String(level ?? "info");
  const fields = Object.entries(rest).filter(([field]) => !dropped.has(field));
  const head = [
    paint("dim", formatTime(time)),
    prefix,
    paint(levelColours[levelName], `${levelName.padEnd(5)}  ${String(msg ?? "")}`),
    ...fields.map(([field, value]) => paint("dim", `${field}=${formatValue(value)}`)),
  ].join("  ");
  return err === undefined ? head : `${head}\n${indent(describeError(err))}`;
}

function parseEntry(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** The time of day: a developer looks at the last minutes. */
function formatTime(time: unknown): string {
  const date = new Date(typeof time === "number" || typeof time === "string" ? time : Date.now());
  if (Number.isNaN(date.getTime())) return "--:--:--.---";
  const [hours, minutes, seconds] = [date.getHours(), date.getMinutes(), date.getSeconds()].map((n) => pad(n, 2));
  return `${hours}:${minutes}:${seconds}.${pad(date.getMilliseconds(), 3)}`;
}

function pad(number: number, width: number): string {
  return String(number).padStart(width, "0");
}

function formatValue(value: unknown): string {
  if (typeof value === "string") return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  if (typeof value !== "object" || value === null) return String(value);
  return inspect(value, { breakLength: Number.POSITIVE_INFINITY, depth: 3 });
}

function describeError(error: unknown): string {
  if (typeof error !== "object" || error === null) return String(error);
  const { stack, type, message } = error as Record<string, unknown>;
  return typeof stack === "string" ? stack : `${String(type ?? "Error")}: ${String(message)}`;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "    ");
}
