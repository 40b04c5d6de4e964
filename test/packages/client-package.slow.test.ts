import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { publishToTopic } from "../support/bus.ts";
import { createApp, pack, run, useFolder } from "../support/packed.ts";
import { startProcess } from "../support/process.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const BIN = fileURLToPath(new URL("../../node_modules/.bin/", import.meta.url));

/** Uses the types of every callback. */
const PAGE = `import { type Client, type ClientState, connect, FanwireError, type Publication } from "@fanwire/client";

const show = (text: string): void => document.body.append(text);
const onPublication = ({ topic, data }: Publication): void => show((topic ?? "everyone") + data);
const onState = (state: ClientState): void => show(state.state === "open" ? state.address : state.state);
const client: Client = connect({ url: "/push", topics: ["news"], token: async () => "a.b.c", onPublication, onState });
client.subscribe("more").catch((error: unknown) => show(error instanceof FanwireError ? error.code : String(error)));
client.presence("lobby").on("change", ({ count }) => show(count.toFixed()));
`;
/** Subscribes, and ends after the first publication. The arguments are an import of the client and one of \`ws\`. */
const nodeApp = (imports: string) => `${imports}
const client = connect({
  url: process.env.PUSHER_URL,
  WebSocket,
  topics: ["news"],
  onState: ({ state }) => console.log("state: " + state),
  onPublication: ({ topic, data }) => {
    console.log(topic + ": " + data);
    client.close();
  },
});
`;

const { bus, pusher } = useCluster({ pusher: { PUSHER_WORKERS: "1" } });

describe("the tarball of @fanwire/client", async () => {
  const folder = await useFolder();
  let tarball: string;
  beforeAll(async () => {
    tarball = await pack("client", folder);
  });

  test.concurrent("publint and attw find nothing", async () => {
    const [linted, typed] = await Promise.all([
      run(folder, join(BIN, "publint"), [tarball, "--strict"]),
      run(folder, join(BIN, "attw"), [tarball]),
    ]);

    expect(linted).toContain("All good!");
    expect(typed).toContain("No problems found");
  });

  test.concurrent("an empty application with Vite and TypeScript installs it, checks its types and builds", async () => {
    const app = await createApp(join(folder, "vite"), {
      "package.json": {
        private: true,
        type: "module",
        dependencies: { "@fanwire/client": `file:${tarball}` },
        devDependencies: { typescript: "7.0.2", vite: "8.3.8" },
      },
      "tsconfig.json": {
        compilerOptions: {
          target: "es2022",
          lib: ["es2022", "dom"],
          module: "esnext",
          moduleResolution: "bundler",
          types: [],
          strict: true,
          exactOptionalPropertyTypes: true,
          // The declarations of the package are checked, too.
          skipLibCheck: false,
          noEmit: true,
        },
        include: ["src"],
      },
      "index.html": `<!doctype html><title>app</title><script type="module" src="/src/main.ts"></script>`,
      "src/main.ts": PAGE,
    });
    const [checked] = await Promise.all([run(app, "npx", ["tsc"]), run(app, "npx", ["vite", "build"])]);

    expect(checked).toBe("");
    const [script = ""] = await readdir(join(app, "dist/assets"));
    const built = await readFile(join(app, "dist/assets", script));
    expect(built.toString()).toContain("fanwire.v1");
    expect(gzipSync(built).length).toBeLessThan(7_500);
    const served = await readFile(join(app, "node_modules/@fanwire/client/dist/browser/client.js"));
    expect(gzipSync(served).length).toBeLessThan(7_000);
  });

  test.concurrent.each([
    ["ES modules", "main.mjs", `import { connect } from "@fanwire/client";\nimport { WebSocket } from "ws";`],
    ["CommonJS", "main.cjs", `const { connect } = require("@fanwire/client");\nconst { WebSocket } = require("ws");`],
  ])("an application of Node with %s receives a publication", async (_, main, imports) => {
    const app = await createApp(join(folder, main), {
      "package.json": { private: true, dependencies: { "@fanwire/client": `file:${tarball}`, ws: "8.23.0" } },
      [main]: nodeApp(imports),
    });
    await using process = startProcess(globalThis.process.execPath, [join(app, main)], { PUSHER_URL: pusher.url });
    await until(process.output, () => process.output().includes("state: open"));
    await publishToTopic(bus, "news", "hello");

    await until(process.output, () => process.exit() !== undefined);
    expect(process.output()).toBe("state: connecting\nstate: open\nnews: hello\nstate: closed\n");
    expect(process.exit()).toEqual({ code: 0, signal: null });
  });
});
