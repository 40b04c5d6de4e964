#!/usr/bin/env node
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

// The published package has only dist. A clone of the repository has the source, which needs no build.
const source = fileURLToPath(new URL("../src/main.ts", import.meta.url));
if (existsSync(source)) runSource();
else await import("../dist/main.js");

function runSource() {
  const flags = ["--conditions=@fanwire/source", "--import", import.meta.resolve("tsx")];
  const child = spawn(process.execPath, [...flags, source, ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal sends Ctrl-C to the child, too. Other senders reach this process only.
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("exit", (code, signal) => {
    if (signal !== null) process.kill(process.pid, signal === "SIGINT" ? "SIGTERM" : signal);
    process.exit(code ?? 1);
  });
}
