import { availableParallelism } from "node:os";
import { delimiter } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { findLocalNatsServer } from "./scripts/start/nats-server.ts";

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

/**
 * Configures one kind of test. Kinds run one after another, because the later ones start whole clusters. Time-outs end tests
 * that hang, and are several times what a test takes on a busy machine.
 */
function project(name: string, groupOrder: number, include: string[], timeoutMs: number) {
  return {
    ssr,
    test: {
      name,
      include,
      env,
      setupFiles: late,
      testTimeout: timeoutMs,
      hookTimeout: timeoutMs,
      sequence: { groupOrder },
    },
  };
}

export default defineConfig({
  test: {
    // Tests of whole clusters mostly wait: one for each core but one, which is what vitest would run, leaves it idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      project(
        "unit",
        0,
        ["{apps,packages}/*/src/**/*.test.ts", "{scripts,bench}/**/*.test.ts", "test/{soak,chaos}/*.test.ts"],
        120_000,
      ),
      project("integration", 1, ["test/**/*.integration.test.ts"], 180_000),
      project("e2e", 2, ["test/**/*.e2e.test.ts"], 240_000),
      // Run by `npm run test:slow`: they take minutes, or the whole machine.
      project("slow", 3, ["test/**/*.slow.test.ts"], 240_000),
      project("chaos", 4, ["test/**/*.chaos.test.ts"], 90_000),
      project("containers", 5, ["test/**/*.containers.test.ts"], 900_000),
    ],
  },
});
