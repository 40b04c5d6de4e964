import { vi } from "vitest";
import { LONGEST_WAIT_MS } from "./longest-wait.ts";

type WaitOptions = Parameters<typeof vi.waitFor>[1];

const withTimeout = (options: WaitOptions) =>
  typeof options === "number" ? options : { timeout: LONGEST_WAIT_MS, ...options };

// Vitest has no setting for it. Files that share a process run this once, because they share the module.
const { waitFor, waitUntil } = vi;
vi.waitFor = (callback, options) => waitFor(callback, withTimeout(options));
vi.waitUntil = (callback, options) => waitUntil(callback, withTimeout(options));
