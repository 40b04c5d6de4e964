import { defineConfig } from "vitest/config";

// Sources are tested directly: every @fanwire package exports its source under this condition.
const ssr = { resolve: { conditions: ["@fanwire/source", "node", "import", "default"] } };

export default defineConfig({
  test: {
    projects: [
      {
        ssr,
        test: { name: "unit", include: ["{apps,packages}/*/src/**/*.test.ts", "scripts/**/*.test.ts"], testTimeout: 20_000 },
      },
      {
        ssr,
        test: {
          name: "e2e",
          include: ["test/**/*.e2e.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // Each file starts whole clusters; two cores carry two of them.
          maxWorkers: 2,
        },
      },
    ],
  },
});
