import { Subjects } from "@fanwire/protocol";
import { type Command, Option } from "commander";
import { checkAddresses } from "../doctor/addresses.ts";
import type { Finding } from "../doctor/finding.ts";
import { checkHistory } from "../doctor/history.ts";
import { checkMachine } from "../doctor/machine.ts";
import { checkNats, openBus } from "../doctor/nats.ts";
import { checkPermissions, type ServiceName, serviceNames } from "../doctor/permissions.ts";
import { checkServices } from "../doctor/services.ts";
import { checkSettings } from "../doctor/settings.ts";
import { type Color, CommandError, type Io, paint, printable, writeJson } from "../io.ts";

type DoctorOptions = { readonly service?: ServiceName; readonly json?: true };

const HELP = `
It reads the variables of the services, connects to NATS as they do, and creates, stores and delivers nothing.
Exit code: 0 without problems, 1 with at least one. Warnings do not count.`;

/** Adds `fanwire doctor`, which names what is wrong with a set-up and what to do. */
export function addDoctor(program: Command, io: Io): void {
  program
    .command("doctor")
    .description("Check settings, machine, NATS, permissions, history and services.")
    .addOption(
      new Option(
        "--service <name>",
        "service whose NATS permissions are checked; default: by FANWIRE_NATS_USER, else all",
      ).choices(serviceNames),
    )
    .option("--json", "print the findings as one JSON array")
    .addHelpText("after", HELP)
    .action((options: DoctorOptions) => doctor(io, options));
}

async function doctor(io: Io, { service, json }: DoctorOptions): Promise<void> {
  const findings: Finding[] = [];
  const show = (more: readonly Finding[]) => {
    findings.push(...more);
    if (!json) for (const finding of more) io.write(`${describe(io, finding)}\n`);
  };
  const { findings: ofSettings, bus: config } = checkSettings(io);
  show(ofSettings);
  show(checkMachine(io.env));
  if (config !== undefined) await checkCluster(io, config, { show, service });
  show(await checkAddresses(io));

  if (json) writeJson(io, findings);
  const problems = findings.filter(({ status }) => status === "problem").length;
  const warnings = findings.filter(({ status }) => status === "warning").length;
  if (!json) io.write(`\n${problems} problems, ${warnings} warnings\n`);
  if (problems > 0) throw new CommandError("");
}

type Checks = { show(findings: readonly Finding[]): void; readonly service: ServiceName | undefined };

async function checkCluster(io: Io, config: Parameters<typeof openBus>[0], { show, service }: Checks): Promise<void> {
  const opened = await openBus(config, io.signal);
  if ("status" in opened) {
    show([opened]);
    return;
  }
  const subjects = new Subjects(config.prefix);
  try {
    const names = namesOf(io, service);
    show(checkNats(opened));
    show(await checkPermissions(opened, { prefix: config.prefix, names }));
    show(await checkHistory(io, opened, { subjects, names }));
    show(await checkServices(opened.bus, subjects));
  } finally {
    await opened.bus.stop();
  }
}

function namesOf({ env }: Io, service: ServiceName | undefined): readonly ServiceName[] {
  if (service !== undefined) return [service];
  const own = serviceNames.find((name) => name === env.FANWIRE_NATS_USER);
  return own === undefined ? serviceNames : [own];
}

const MARKS: Readonly<Record<Finding["status"], readonly [mark: string, color: Color]>> = {
  ok: ["ok     ", "green"],
  warning: ["warning", "yellow"],
  problem: ["problem", "red"],
  skipped: ["skipped", "dim"],
};

function describe(io: Io, { area, status, message, advice }: Finding): string {
  const [mark, color] = MARKS[status];
  const lines = message.split("\n").map(printable).join("\n                      ");
  const first = `${paint(io, color, mark)}  ${area.padEnd(11)}  ${lines}`;
  return advice === undefined ? first : `${first}\n${" ".repeat(22)}${paint(io, "dim", advice)}`;
}
