import { availableParallelism } from "node:os";
import { delimiter, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { findLocalNatsServer } from "./scripts/start/nats-server.ts";
import { LongestFirst } from "./scripts/test/longest-first.ts";
import { LONGEST_WAIT_MS } from "./scripts/test/longest-wait.ts";

// Sources are tested directly: every @fanwire package exports its source under this condition.
const ssr = { resolve: { conditions: ["@fanwire/source", "node", "import", "default"] } };

/**
 * Delays what sockets receive. A test that does not wait for its condition fails then. The delay replaces a method of
 * the sockets. So each test file runs in another process.
 */
const isLate = process.env.FANWIRE_TEST_LATE === "1";
const late = isLate ? ["./test/support/delayed-sockets.ts"] : [];

const setupFiles = [...late, "./scripts/test/property-sizes.ts", "./scripts/test/condition-waits.ts"];

/** The nats-server that `npm test` found or fetched. Without one, tests that need it fail with a sentence. */
const nats = await findLocalNatsServer();
const env = {
  ...(nats !== undefined && { FANWIRE_NATS_SERVER: nats.path }),
  PATH: [
    process.env.PATH,
    // Debian installs nats-server to a folder that only root has on PATH.
    ...(nats === undefined ? [] : [dirname(nats.path)]),
    // `npm test` unpacks programs of other packages there.
    fileURLToPath(new URL(".fanwire/bin", import.meta.url)),
  ].join(delimiter),
};

const cores = Math.max(2, availableParallelism());
/** Tests of whole clusters mostly wait, and unit tests for a third of their time. */
const waiting = Math.max(4, cores);
/** Many slow tests wait, so that one worker more than the cores leaves no core idle. */
const mixed = cores + 1;

type Kind = {
  /** Kinds with a higher number begin when those with a lower one have ended. */
  readonly group: number;
  readonly include: string[];
  /** Ends tests that hang. Several times what a test takes on a busy machine. */
  readonly timeoutMs: number;
  readonly workers?: number;
  /** False if files share a process, which saves half a second of processor time for each file. */
  readonly isolate?: boolean;
};

/** Configures one kind of test. */
function project(name: string, { group, include, timeoutMs, workers = cores, isolate = true }: Kind) {
  return {
    ssr,
    test: {
      name,
      include,
      env,
      isolate,
      // Leaves nothing to the next file of a shared process.
      restoreMocks: true,
      unstubGlobals: true,
      unstubEnvs: true,
      setupFiles,
      expect: { poll: { timeout: LONGEST_WAIT_MS } },
      testTimeout: timeoutMs,
      hookTimeout: timeoutMs,
      maxWorkers: workers,
      sequence: { groupOrder: group },
    },
  };
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      project("unit", {
        group: 0,
        include: ["{apps,packages}/*/src/**/*.test.ts", "{scripts,bench}/**/*.test.ts", "test/{soak,chaos}/*.test.ts"],
        timeoutMs: 120_000,
        workers: waiting,
        isolate: isLate,
      }),
      project("integration", {
        group: 1,
        include: ["test/**/*.integration.test.ts"],
        timeoutMs: 180_000,
        workers: waiting,
        isolate: isLate,
      }),
      project("e2e", {
        group: 1,
        include: ["test/**/*.e2e.test.ts"],
        timeoutMs: 240_000,
        workers: waiting,
        isolate: isLate,
      }),
      // Run by `npm run test:slow`: they take minutes, or the whole machine.
      project("slow", {
        group: 2,
        include: ["test/**/!(*ticks).slow.test.ts"],
        timeoutMs: 240_000,
        workers: mixed,
      }),
      // Beside other tests they would measure how long two threads take that share a core.
      project("ticks", { group: 3, include: ["test/**/*ticks.slow.test.ts"], timeoutMs: 240_000, workers: 1 }),
      project("chaos", { group: 4, include: ["test/**/*.chaos.test.ts"], timeoutMs: 90_000 }),
      project("containers", { group: 5, include: ["test/**/*.containers.test.ts"], timeoutMs: 900_000 }),
    ],
  },
});
