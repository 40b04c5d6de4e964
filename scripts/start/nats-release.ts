import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { deadlineSignal } from "../../packages/service/src/deadline.ts";

const RELEASE = "2.11.8";

export const NATS_RELEASES_URL = "https://github.com/nats-io/nats-server/releases/download";

const downloadTimeoutMs = 180_000;
const systems: Partial<Record<NodeJS.Platform, string>> = { linux: "linux", darwin: "darwin" };
const processors: Partial<Record<NodeJS.Architecture, string>> = { x64: "amd64", arm64: "arm64" };

export type ReleaseOptions = {
  /** An empty folder for downloaded and unpacked files. The caller removes it. */
  readonly folder: string;
  /** Address above the folders of the versions, as in `…/download`. */
  readonly releasesUrl: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
};

/**
 * Downloads the official release for this machine and returns the path of the program.
 *
 * @throws when there is none for this machine, it cannot be downloaded, or its SHA-256 is not the one the release names.
 */
export async function fetchNatsRelease({ folder, releasesUrl, env, signal }: ReleaseOptions): Promise<string> {
  const system = systems[process.platform];
  const processor = processors[process.arch];
  if (!system || !processor) throw new Error(`no release for ${process.platform} on ${process.arch} is known here`);
  const name = `nats-server-v${RELEASE}-${system}-${processor}`;
  const archive = `${name}.tar.gz`;

  const sums = await download(`${releasesUrl}/v${RELEASE}/SHA256SUMS`, signal);
  const wanted = findChecksum(sums.toString("utf8"), archive);
  if (wanted === undefined) throw new Error(`SHA256SUMS of release ${RELEASE} does not name ${archive}`);
  const content = await download(`${releasesUrl}/v${RELEASE}/${archive}`, signal);
  const actual = createHash("sha256").update(content).digest("hex");
  if (actual !== wanted) throw new Error(`${archive} was refused: its SHA-256 is ${actual}, not ${wanted}`);

  await writeFile(join(folder, archive), content);
  await promisify(execFile)("tar", ["-xzf", archive, `${name}/nats-server`], { cwd: folder, env, signal });
  return join(folder, name, "nats-server");
}

function findChecksum(sums: string, archive: string): string | undefined {
  for (const line of sums.split("\n")) {
    const [checksum, name] = line.trim().split(/\s+\*?/);
    if (name === archive) return checksum?.toLowerCase();
  }
  return undefined;
}

async function download(url: string, signal: AbortSignal): Promise<Buffer> {
  try {
    const response = await fetch(url, { signal: deadlineSignal(downloadTimeoutMs, signal) });
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    return Buffer.from(await response.arrayBuffer());
  } catch (error) {
    // The message of fetch is only "fetch failed". Its cause has the reason.
    const { message, cause } = error as Error;
    throw new Error(`${url}: ${cause instanceof Error ? cause.message : message}`, { cause: error });
  }
}
