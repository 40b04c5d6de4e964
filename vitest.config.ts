import { availableParallelism } from "node:os";
import { delimiter } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { findLocalNatsServer } from "./scripts/start/nats-server.ts";
import { LongestFirst } from "./scripts/test/longest-first.ts";

// Sources are tested directly: every @fanwire package exports its source under this condition.
const ssr = { resolve: { conditions: ["@fanwire/source", "node", "import", "default"] } };

/** Finds tests that assert something before it can be known. */
const late = process.env.FANWIRE_TEST_LATE === "1" ? ["./test/support/delayed-sockets.ts"] : [];

/** The nats-server that `npm test` found or fetched. Without one, tests that need it fail with a sentence. */
const nats = await findLocalNatsServer();
const env = {
  ...(nats !== undefined && { FANWIRE_NATS_SERVER: nats.path }),
  // `npm test` unpacks programs of other packages there.
  PATH: [process.env.PATH, fileURLToPath(new URL(".fanwire/bin", import.meta.url))].join(delimiter),
};

/** Unit tests compute, so that more workers than cores gain nothing. */
const cores = Math.max(2, availableParallelism());
/** Tests of whole clusters mostly wait: one for each of two cores leaves more than half of the machine idle. */
const waiting = Math.max(4, cores);

type Kind = {
  /** Kinds with a higher number begin when those with a lower one have ended. */
  readonly group: number;
  readonly include: string[];
  /** Ends tests that hang. Several times what a test takes on a busy machine. */
  readonly timeoutMs: number;
  readonly workers?: number;
  /** False if files share a process, which saves loading their modules again for each file. */
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
      setupFiles: late,
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
        isolate: false,
      }),
      project("integration", {
        group: 1,
        include: ["test/**/*.integration.test.ts"],
        timeoutMs: 180_000,
        workers: waiting,
      }),
      project("e2e", { group: 1, include: ["test/**/*.e2e.test.ts"], timeoutMs: 240_000, workers: waiting }),
      // Run by `npm run test:slow`: they take minutes, or the whole machine.
      project("slow", { group: 2, include: ["test/**/*.slow.test.ts"], timeoutMs: 240_000 }),
      project("chaos", { group: 3, include: ["test/**/*.chaos.test.ts"], timeoutMs: 90_000 }),
      project("containers", { group: 4, include: ["test/**/*.containers.test.ts"], timeoutMs: 900_000 }),
    ],
  },
});
