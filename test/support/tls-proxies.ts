import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { Certificate } from "./certificates.ts";
import type { TestPublisher, TestPusher } from "./cluster.ts";
import { freePorts } from "./free-ports.ts";
import { portOf } from "./port.ts";
import { startProcess } from "./process.ts";
import { servedSerial } from "./served-certificate.ts";
import { until } from "./wait.ts";

type Targets = {
  readonly pusher: Pick<TestPusher, "url" | "adminUrl">;
  readonly publisher: Pick<TestPublisher, "url" | "adminUrl">;
  readonly certificate: Certificate;
  readonly ca: Buffer;
};

export type TlsProxy = {
  readonly name: string;
  /** Reason why its tests are skipped, or `undefined`. */
  readonly missing: string | undefined;
  /** Starts the proxy with its file in deploy/tls, on another port. */
  start(targets: Targets): Promise<AsyncDisposable & { readonly port: number }>;
};

type Edit = { readonly folder: string; readonly port: number; readonly plainPort: number } & Targets;

/** How a test runs a proxy: its file with other ports and paths, and its command. */
type Recipe = {
  readonly program: string;
  readonly file: string;
  edit(text: string, edit: Edit): string;
  command(file: string, folder: string): readonly string[];
};

const recipes: readonly Recipe[] = [
  {
    program: "haproxy",
    file: "haproxy-tls.cfg",
    edit: (text, { folder, port, plainPort, certificate }) => {
      const joined = join(folder, "joined.pem");
      writeFileSync(joined, readFileSync(certificate.certFile, "utf8") + readFileSync(certificate.keyFile, "utf8"));
      return text
        .replace("bind :443 ", `bind 127.0.0.1:${port} `)
        .replace("bind :80", `bind 127.0.0.1:${plainPort}`)
        .replace("fd-hard-limit 500000", "fd-hard-limit 2000")
        .replace("/etc/fanwire/tls/push.example.pem", joined);
    },
    command: (file) => ["-db", "-f", file],
  },
  {
    program: "nginx",
    file: "nginx.conf",
    edit: (text, { folder, port, plainPort, certificate }) =>
      `pid ${folder}/pid;\nerror_log stderr;\n${text}`
        .replace("worker_processes auto", "worker_processes 1")
        .replace("worker_rlimit_nofile 131072", "worker_rlimit_nofile 2048")
        .replace("worker_connections 65536", "worker_connections 1024")
        .replace("listen 443 ", `listen 127.0.0.1:${port} `)
        .replace("listen 80;", `listen 127.0.0.1:${plainPort};`)
        .replace("http {", `http {\n${temporaryPaths(folder)}`)
        .replace("/etc/fanwire/tls/fullchain.pem", certificate.certFile)
        .replace("/etc/fanwire/tls/privkey.pem", certificate.keyFile),
    command: (file, folder) => ["-c", file, "-p", folder, "-g", "daemon off;"],
  },
  {
    program: "caddy",
    file: "Caddyfile",
    edit: (text, { port, plainPort, certificate }) =>
      text
        .replace("admin off", `admin off\n\thttp_port ${plainPort}\n\thttps_port ${port}\n\tdefault_bind 127.0.0.1`)
        .replace("/etc/fanwire/tls/fullchain.pem", certificate.certFile)
        .replace("/etc/fanwire/tls/privkey.pem", certificate.keyFile),
    command: (file) => ["run", "--config", file, "--adapter", "caddyfile"],
  },
];

/** nginx creates these folders at its start. */
function temporaryPaths(folder: string): string {
  const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return kinds.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join("\n");
}

export const tlsProxies: readonly TlsProxy[] = recipes.map((recipe) => ({
  name: recipe.program,
  missing:
    pathOf(recipe.program) === undefined
      ? `there is no ${recipe.program}: apt-get install --no-install-recommends ${recipe.program}`
      : undefined,
  start: (targets) => start(recipe, targets),
}));

function pathOf(program: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"];
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

async function start({ program, file, edit, command }: Recipe, targets: Targets) {
  const [port = 0, plainPort = 0] = await freePorts(2);
  const folder = mkdtempSync(join(tmpdir(), `fanwire-${program}-`));
  const text = edit(readFileSync(new URL(`../../deploy/tls/${file}`, import.meta.url), "utf8"), {
    folder,
    port,
    plainPort,
    ...targets,
  })
    .replaceAll("127.0.0.1:4236", `127.0.0.1:${portOf(targets.pusher.url)}`)
    .replaceAll("127.0.0.1:4237", `127.0.0.1:${portOf(targets.publisher.url)}`)
    .replaceAll("port 9236", `port ${portOf(targets.pusher.adminUrl)}`)
    .replaceAll("port 9237", `port ${portOf(targets.publisher.adminUrl)}`);
  const path = join(folder, file);
  writeFileSync(path, text);
  const proxy = startProcess(pathOf(program) ?? program, command(path, folder), { HOME: folder });
  await until(
    () => `${program} answers: ${proxy.output()}`,
    () => servedSerial(port, targets.ca, "push.example"),
  );
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      // nginx ends its own processes only when it is asked to.
      await proxy.stop(program === "nginx" ? "SIGTERM" : "SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
