import { readFileSync, readlinkSync } from "node:fs";

/** Fields of `/proc/<pid>/stat` behind the name: the state, and when the process started, in ticks since the machine did. */
const STATE = 0;
const STARTED_AT = 19;
/** A process that has ended and whose parent has not asked for its exit code yet. */
const ENDED_STATES: ReadonlySet<string> = new Set(["Z", "X"]);

type Identity = { readonly machine: string; readonly pid: number; readonly startedAt: string };

/** One start of one machine, and the part of its processes that see each other; `undefined` where it cannot be told. */
const machineId = readMachineId();

/** Names this process among all of its machine, now and later; `undefined` where the system does not tell (it is Linux that does). */
export function identifyProcess(): string | undefined {
  const startedAt = statFields(process.pid)?.[STARTED_AT];
  return machineId === undefined || startedAt === undefined ? undefined : `${machineId}/${process.pid}/${startedAt}`;
}

/** Whether the process that {@link identifyProcess} named exists no more; `undefined` when it cannot be told from here. */
export function hasProcessEnded(identity: string): boolean | undefined {
  const known = parseIdentity(identity);
  if (known === undefined || known.machine !== machineId) return undefined;
  if (!isPidInUse(known.pid)) return true;
  const fields = statFields(known.pid);
  // Other users' processes may be hidden: that the number is in use says nothing then.
  if (fields === undefined) return undefined;
  return ENDED_STATES.has(fields[STATE] ?? "") || fields[STARTED_AT] !== known.startedAt;
}

function readMachineId(): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot}:${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return undefined;
  }
}

function parseIdentity(identity: string): Identity | undefined {
  const [, machine, pid, startedAt] = /^([^/]+)\/([1-9][0-9]{0,9})\/([0-9]+)$/.exec(identity) ?? [];
  if (machine === undefined || startedAt === undefined) return undefined;
  return { machine, pid: Number(pid), startedAt };
}

function isPidInUse(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}

function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name may hold spaces and brackets.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}
