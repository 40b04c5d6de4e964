import { readFileSync, readlinkSync } from "node:fs";

/** Fields of `/proc/<pid>/stat` after the name: the state, and the start of the process in ticks since boot. */
const STATE = 0;
const STARTED_AT = 19;
/** States of an ended process whose parent has not read its exit code yet. */
const ENDED_STATES: ReadonlySet<string> = new Set(["Z", "X"]);

type Identity = { readonly machine: string; readonly pid: number; readonly startedAt: string };

/** Identifies this boot of the machine and the PID namespace; `undefined` where the system does not provide them. */
const machineId = readMachineId();

/**
 * Returns an identity of this process that is never reused on this machine; `undefined` on systems other than Linux.
 */
export function identifyProcess(): string | undefined {
  const startedAt = statFields(process.pid)?.[STARTED_AT];
  return machineId === undefined || startedAt === undefined ? undefined : `${machineId}/${process.pid}/${startedAt}`;
}

/** Whether the process of an {@link identifyProcess} result has ended; `undefined` when this process cannot know. */
export function hasProcessEnded(identity: string): boolean | undefined {
  const known = parseIdentity(identity);
  if (known === undefined || known.machine !== machineId) return undefined;
  if (!isPidInUse(known.pid)) return true;
  const fields = statFields(known.pid);
  // Processes of other users may be hidden, and then a PID in use proves nothing.
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
    // The name may contain spaces and brackets.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}
