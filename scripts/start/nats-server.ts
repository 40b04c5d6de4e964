import { chmod, copyFile, mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type PackageOptions, unpackPrograms } from "./debian-package.ts";
import { fetchNatsRelease, NATS_RELEASES_URL } from "./nats-release.ts";
import { checkNatsBinary } from "./nats-version.ts";

export type NatsServer = {
  readonly path: string;
  /** As in `2.9.10`. */
  readonly version: string;
  /** Where it was found, in words: `PATH`, `the official release`. */
  readonly source: string;
};

export type FindOptions = {
  readonly env?: NodeJS.ProcessEnv;
  /** Folder in which a fetched program is stored for the next start. */
  readonly folder?: string;
  /** Searched after PATH: Debian installs to /usr/sbin, which only root has on its PATH. */
  readonly systemFolders?: readonly string[];
  readonly releasesUrl?: string;
  readonly signal?: AbortSignal;
  /** Called with a line for each slow step and each skipped program. */
  readonly say?: (line: string) => void;
};

type Search = Required<FindOptions> & { readonly tried: string[] };

/**
 * Finds a nats-server that is new enough, or fetches one into `.fanwire/bin`. In this order: FANWIRE_NATS_SERVER, PATH,
 * an earlier download, the package of Debian or Ubuntu, the official release. Installs nothing on the machine.
 *
 * @throws Error whose message lists the attempts and the remedies.
 */
export async function findNatsServer(options: FindOptions = {}): Promise<NatsServer> {
  const search = createSearch(options);
  return (
    (await findHere(search)) ??
    (await fetchBy(fetchNatsPackage, "the package of this system", search)) ??
    (await fetchBy(fetchNatsRelease, "the official release", search)) ??
    fail(search)
  );
}

/**
 * As {@link findNatsServer}, but without a download. Returns `undefined` when this machine has no usable nats-server.
 *
 * @throws Error when FANWIRE_NATS_SERVER names an unusable program.
 */
export function findLocalNatsServer(options: FindOptions = {}): Promise<NatsServer | undefined> {
  return findHere(createSearch(options));
}

function createSearch(options: FindOptions): Search {
  return {
    env: process.env,
    folder: fileURLToPath(new URL("../../.fanwire/bin", import.meta.url)),
    systemFolders: ["/usr/local/sbin", "/usr/sbin"],
    releasesUrl: NATS_RELEASES_URL,
    signal: new AbortController().signal,
    say: () => undefined,
    ...options,
    tried: [],
  };
}

async function findHere(search: Search): Promise<NatsServer | undefined> {
  const asked = search.env.FANWIRE_NATS_SERVER;
  if (!asked) return (await findOnPath(search)) ?? (await findFetched(search));
  const server = await useIfGood(asked, "FANWIRE_NATS_SERVER", search);
  // An explicit choice is never replaced by another program.
  if (server === undefined) throw new Error(`FANWIRE_NATS_SERVER: ${search.tried.join("; ")}`);
  return server;
}

async function fetchNatsPackage(options: PackageOptions): Promise<string> {
  const [path = ""] = await unpackPrograms("nats-server", ["nats-server"], options);
  return path;
}

async function findOnPath(search: Search): Promise<NatsServer | undefined> {
  const folders = [...(search.env.PATH ?? "").split(delimiter).filter(Boolean), ...search.systemFolders];
  for (const folder of new Set(folders)) {
    const path = join(folder, "nats-server");
    if (!(await isFile(path))) continue;
    const server = await useIfGood(path, "PATH", search);
    if (server) return server;
  }
  if (search.tried.length === 0) search.tried.push("PATH: no nats-server");
  return undefined;
}

async function findFetched(search: Search): Promise<NatsServer | undefined> {
  const path = join(search.folder, "nats-server");
  return (await isFile(path)) ? useIfGood(path, "fetched before", search) : undefined;
}

async function fetchBy(
  fetchInto: (options: Search) => Promise<string>,
  source: string,
  search: Search,
): Promise<NatsServer | undefined> {
  const temporary = await mkdtemp(join(tmpdir(), "fanwire-nats-"));
  try {
    search.say(`No usable nats-server here yet; fetching ${source} …`);
    const fetched = await fetchInto({ ...search, folder: temporary });
    await chmod(fetched, 0o755);
    const server = await useIfGood(fetched, source, search);
    return server && { ...server, path: await keep(fetched, search.folder) };
  } catch (error) {
    if (search.signal.aborted) throw error;
    note(search, `${source}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Renames the program into place, so that no process runs an incomplete one. */
async function keep(fetched: string, folder: string): Promise<string> {
  const path = join(folder, "nats-server");
  const unfinished = `${path}.${process.pid}`;
  await mkdir(folder, { recursive: true });
  await copyFile(fetched, unfinished);
  await rename(unfinished, path);
  return path;
}

async function useIfGood(path: string, source: string, search: Search): Promise<NatsServer | undefined> {
  const binary = await checkNatsBinary(path);
  if (binary.ok) return { path, version: binary.version, source };
  note(search, `${source}: ${path} ${binary.reason}`);
  return undefined;
}

function note(search: Search, line: string): void {
  search.tried.push(line);
  search.say(`Passed over: ${line}`);
}

function fail({ tried }: Search): never {
  throw new Error(
    [
      "Fanwire needs a nats-server and found none. Tried:",
      ...tried.map((line) => `  - ${line}`),
      "What helps, any one of these:",
      "  - install it with a package manager (apt install nats-server, brew install nats-server, …)",
      "  - put the program of https://github.com/nats-io/nats-server/releases on PATH, or its path in FANWIRE_NATS_SERVER",
      "  - set FANWIRE_NATS_URL to a NATS that runs already, as in FANWIRE_NATS_URL=nats://127.0.0.1:4222",
    ].join("\n"),
  );
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
