import { createProgram } from "./program.ts";
import { run } from "./run.ts";
import { terminalIo } from "./terminal-io.ts";

process.exitCode = await run(createProgram, terminalIo(process.env), process.argv.slice(2));
