// Preloaded into a process: its clock is off by as many milliseconds as the file says, from a moment after it says so.
import { readFileSync } from "node:fs";

const path = process.env.CHAOS_CLOCK;
const EVERY_MS = 100;
const { now } = Date;
let offsetMs = 0;

const read = () => {
  offsetMs = Number(readFileSync(path, "utf8"));
};
read();
setInterval(read, EVERY_MS).unref();
Date.now = () => now() + offsetMs;
