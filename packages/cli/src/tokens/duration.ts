import { CommandError } from "../io.ts";

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** Returns the seconds of `30s`, `15m`, `2h` or `7d`. @throws CommandError for other text. */
export function parseDuration(text: string): number {
  const [, count, unit] = /^([1-9][0-9]{0,8})([smhd])$/.exec(text) ?? [];
  if (count === undefined) throw new CommandError(`${text} is no duration. Write 30s, 15m, 2h or 7d.`);
  return Number(count) * SECONDS[unit as keyof typeof SECONDS];
}

/** Returns the largest units of a duration, as in `2h 5m`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3_600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "m"],
    [whole % 60, "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return "0s";
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(" ");
}
