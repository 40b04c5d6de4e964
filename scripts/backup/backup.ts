/** Saves and restores the streams of a cluster. {@link USAGE} has the commands. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Bus, busConfigFrom, type NatsBus, sharedSettings, startNatsBus } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { createLog, readSettings } from "@fanwire/service";
import { readBackup } from "./archive.ts";
import { type RestoreOptions, restoreStream } from "./restore.ts";
import { saveStream } from "./save.ts";
import { deleteStream, findStream } from "./stream-api.ts";

const USAGE = `Backup and restore of the history and the queues.

  npm run backup -- save FOLDER               save the streams that exist, while services run
  npm run backup -- restore FOLDER            restore them, while no service runs
  npm run backup -- restore FOLDER --replace  the same, and delete the streams that exist

NATS and the prefix come from FANWIRE_NATS_… and FANWIRE_PREFIX, as for a service. The NATS user needs $JS.API.>,
_INBOX.> and fanwire.control.>, as the user "operator" of deploy/nats-users.conf has. A restored history has another
epoch: clients that resume are not recovered, and load their state again.`;

const say = (line: string) => process.stdout.write(`${line}\n`);

/** Time in which every running service answers. */
const ANSWER_MS = 2_000;

async function main([action, folder, flag, ...rest]: readonly string[]): Promise<number> {
  const isValid =
    folder !== undefined &&
    rest.length === 0 &&
    (action === "save" ? flag === undefined : action === "restore" && (flag === undefined || flag === "--replace"));
  if (!isValid) {
    say(USAGE);
    return action === "--help" ? 0 : 1;
  }
  const config = busConfigFrom(readSettings(sharedSettings, process.env));
  const log = createLog("backup", "error");
  const bus = await startNatsBus({ config, name: "fanwire backup", log, signal: AbortSignal.timeout(10_000) });
  try {
    const subjects = new Subjects(config.prefix);
    if (action === "save") await save(bus, subjects, folder);
    else await restore(bus, subjects, folder, flag === "--replace");
    return 0;
  } finally {
    await bus.stop();
  }
}

const streamsOf = ({ historyStream, channelQueueStream }: Subjects) => [historyStream, channelQueueStream];

async function save(bus: NatsBus, subjects: Subjects, folder: string): Promise<void> {
  for (const name of streamsOf(subjects)) {
    const target = join(folder, name);
    if (existsSync(target)) throw new Error(`${target} exists; name a new folder`);
    if ((await findStream(bus, name)) === undefined) {
      say(`there is no stream ${name}`);
      continue;
    }
    const { state } = await saveStream(bus, name, target);
    say(`saved ${name}: ${state.messages} messages, ${state.bytes} bytes`);
  }
}

async function restore(bus: Bus, subjects: Subjects, folder: string, replaces: boolean): Promise<void> {
  await refuseWhileServicesRun(bus, subjects);
  const names = streamsOf(subjects).filter((name) => existsSync(join(folder, name)));
  if (names.length === 0) throw new Error(`${folder} holds no backup of ${streamsOf(subjects).join(" or ")}`);
  const backups: RestoreOptions[] = [];
  // Everything is checked before the first stream is touched.
  for (const name of names) {
    if (!replaces && (await findStream(bus, name)) !== undefined) {
      throw new Error(`the stream ${name} exists; --replace deletes it first`);
    }
    const saved = await readBackup(join(folder, name));
    backups.push({ folder: join(folder, name), saved, isHistory: name === subjects.historyStream });
  }
  for (const backup of backups) {
    const { saved, isHistory } = backup;
    const { name } = saved.config;
    const { state } = await restoreStream(bus, backup);
    say(`restored ${name}: ${state.messages} messages, ${state.bytes} bytes`);
    // Workers create it again from the restored history.
    if (isHistory) await deleteStream(bus, subjects.lastStream);
  }
}

/** Services would create a missing stream, or use the history before it has its mark. */
async function refuseWhileServicesRun(bus: Bus, subjects: Subjects): Promise<void> {
  const describe = Buffer.from(JSON.stringify({ command: "describe" }));
  for (const subject of [subjects.allWorkers, subjects.allServices]) {
    const answer = await bus.request(subject, describe, { timeoutMs: ANSWER_MS });
    if (answer.ok) throw new Error("a service is running; stop all services first");
    if (answer.reason !== "no-responders") throw new Error(`services may be running: ${answer.reason}`);
  }
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`backup: ${(error as Error).message}\n`);
  process.exit(1);
}
