import { fileURLToPath } from "node:url";
import { ensureDependencies } from "./dependencies.mjs";

await ensureDependencies(fileURLToPath(new URL("..", import.meta.url)));

const { register } = await import("tsx/esm/api");
register();
const { runWithNats } = await import("./test/with-nats.ts");
await runWithNats("bench/src/main.ts");
