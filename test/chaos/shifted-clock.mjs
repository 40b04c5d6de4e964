// Preloaded into a process: shifts its clock by the milliseconds in the file, a moment after the file changes.
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
