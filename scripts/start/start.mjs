import { fileURLToPath } from "node:url";
import { ensureDependencies } from "../dependencies.mjs";

const unknown = process.argv.slice(2).filter((argument) => !["--help", "-h"].includes(argument));
// Checked before anything is installed, which takes long in a fresh clone.
if (unknown.length > 0) {
  console.error(`unknown argument: ${unknown.join(" ")}`);
  console.error(
    "npm start has no arguments but --help. It is configured by variables: npm start -- --help lists them.",
  );
  process.exit(2);
}
await ensureDependencies(fileURLToPath(new URL("../..", import.meta.url)));

// In this very process, so that npm's signals reach what starts and stops the services.
const { register } = await import("tsx/esm/api");
register();
await import("./start.ts");
