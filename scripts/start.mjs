import { fileURLToPath } from "node:url";
import { ensureDependencies } from "./dependencies.mjs";

await ensureDependencies(fileURLToPath(new URL("..", import.meta.url)));

// In this very process, so that npm's signals reach what starts and stops the services.
const { register } = await import("tsx/esm/api");
register();
await import("./start.ts");
