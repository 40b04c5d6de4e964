/** Text of a figure that no answer contained. Never 0, which would be an answer. */
export const UNKNOWN = "unknown";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

type Figure = number | null | undefined;

export function count(value: Figure): string {
  return isKnown(value) ? whole.format(value) : UNKNOWN;
}

/** A number per second. */
export function rate(value: Figure): string {
  return isKnown(value) ? (value < 100 ? oneDigit : whole).format(value) : UNKNOWN;
}

export function bytes(value: Figure): string {
  if (!isKnown(value)) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [amount, at] = [value, 0];
  while (amount >= 1_024 && at < units.length - 1) {
    amount /= 1_024;
    at++;
  }
  return `${(at === 0 || amount >= 100 ? whole : oneDigit).format(amount)} ${units[at]}`;
}

export function milliseconds(value: Figure): string {
  return isKnown(value) ? `${(value < 10 ? oneDigit : whole).format(value)} ms` : UNKNOWN;
}

/** Two units at most, as in `3 d 4 h`. */
export function duration(seconds: Figure): string {
  if (!isKnown(seconds)) return UNKNOWN;
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [Math.floor(seconds) % 60, "s"],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first < 0) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(" ");
}

/** Local time of day to the millisecond. */
export function timeOfDay(at: Date = new Date()): string {
  if (Number.isNaN(at.getTime())) return UNKNOWN;
  return `${at.toLocaleTimeString("en-GB")}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

/** Local date and time. */
export function dateAndTime(text: string): string {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return UNKNOWN;
  return `${at.toLocaleDateString("en-CA")} ${at.toLocaleTimeString("en-GB")}`;
}

export function hexadecimal(data: Uint8Array): string {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** Returns JSON text with indentation, and other text unchanged. */
export function prettyJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function isKnown(value: Figure): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
