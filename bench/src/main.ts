import { relative } from "node:path";
import { Children } from "./children.ts";
import { type Lab, startLab } from "./lab.ts";
import { describeMachine, requireOpenFiles } from "./machine.ts";
import { helpText, type Options, readOptions, UsageError } from "./options.ts";
import { formatReport, writeJson } from "./report.ts";
import type { ScenarioReport } from "./scenarios/scenario.ts";
import { SetupError } from "./setup-error.ts";

/** Results go to stdout, progress to stderr. */
const progress = (text: string) => process.stderr.write(`${text}\n`);

/** Ends all processes of a run, however it ends, except by SIGKILL. */
function stopOnSignal(children: Children, lab: () => Lab | undefined): void {
  process.once("exit", () => {
    children.killAll();
    lab()?.nats.removeFiles();
  });
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
}

async function run(options: Options): Promise<number> {
  for (const scenario of options.scenarios) requireOpenFiles(scenario.connections(options));
  const machine = describeMachine();
  const children = new Children();
  let lab: Lab | undefined;
  stopOnSignal(children, () => lab);

  const reports: ScenarioReport[] = [];
  try {
    lab = await startLab(children);
    for (const scenario of options.scenarios) {
      reports.push(await scenario.run(lab, { ...options, progress }));
    }
  } finally {
    await lab?.stop();
    // Written even if a later scenario failed, because its measurements are valid.
    if (reports.length > 0) console.log(`\n${formatReport(machine, reports)}`);
  }
  if (options.jsonFile !== undefined) {
    writeJson(options.jsonFile, machine, reports);
    progress(`All samples: ${relative(process.cwd(), options.jsonFile)}`);
  }

  const faults = reports.flatMap((report) => report.faults);
  for (const fault of faults) console.error(`FAULT ${fault}`);
  return faults.length === 0 ? 0 : 1;
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) console.log(helpText());
  else process.exitCode = await run(options);
} catch (error) {
  if (error instanceof UsageError) console.error(`${error.message}\n\n${helpText()}`);
  else console.error(error instanceof SetupError ? error.message : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
