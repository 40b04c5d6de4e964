import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

// Sources are tested directly: every @fanwire package exports its source under this condition.
const ssr = { resolve: { conditions: ["@fanwire/source", "node", "import", "default"] } };

/** Finds tests that assert something before it can be known. */
const late = process.env.FANWIRE_TEST_LATE === "1" ? ["./test/support/late-sockets.ts"] : [];

/** One kind of test. Kinds run one after another, since the later ones start whole clusters. */
function project(name: string, groupOrder: number, include: string[], timeoutMs: number) {
  return {
    ssr,
    test: {
      name,
      include,
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
        20_000,
      ),
      project("integration", 1, ["test/**/*.integration.test.ts"], 60_000),
      project("e2e", 2, ["test/**/*.e2e.test.ts"], 90_000),
      project("chaos", 3, ["test/**/*.chaos.test.ts"], 90_000),
      project("containers", 4, ["test/**/*.containers.test.ts"], 900_000),
    ],
  },
});
