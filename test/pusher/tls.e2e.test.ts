import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as connectTls } from "node:tls";
import type { Log } from "@fanwire/service";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { publishToEveryone, publishToTopic } from "../support/bus.ts";
import { type Authority, type Certificate, createAuthority, hasOpenssl } from "../support/certificates.ts";
import { metric, startPusher, type TestPusher } from "../support/cluster.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { startService } from "../support/process.ts";
import { pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher } from "../support/pusher-client.ts";
import { CertificateWatch, readCertificate } from "../support/pusher-sources.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { HANDSHAKE } from "../support/raw-socket.ts";
import { type ServedFiles, servedSerial, serveFiles } from "../support/served-certificate.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const WORKERS = 2;
const NAMES = ["DNS:localhost", "IP:127.0.0.1"];

describe.skipIf(!hasOpenssl)("TLS in the pusher", () => {
  const { nats, bus } = useCluster();
  let authority: Authority;
  let ca: Buffer;
  let files: ServedFiles;
  let pusher: TestPusher;
  let port: number;

  beforeAll(async () => {
    authority = createAuthority();
    ca = readFileSync(authority.caFile);
    files = serveFiles(authority.issue(...NAMES));
    const env = {
      ...files.env,
      ...pusherAppsEnv(),
      PUSHER_WORKERS: String(WORKERS),
      PUSHER_MAX_UNSENT_BYTES: "4000000",
    };
    pusher = await startPusher({ nats: nats.url, env });
    port = Number(new URL(pusher.url).port);
  });
  afterAll(async () => {
    await pusher[Symbol.asyncDispose]();
    files[Symbol.dispose]();
    authority[Symbol.dispose]();
  });

  const wss = (query = "") => `wss://localhost:${port}/${query}`;
  const connectAll = async () => ({
    raws: await Promise.all(Array.from({ length: 6 }, () => connectRawClient(wss("?topic=t"), {}, { ca }))),
    fanwires: await Promise.all(Array.from({ length: 2 }, () => connectFanwire(wss(), { topic: "t" }, { ca }))),
    stream: await readEvents(`https://localhost:${port}/sse?topic=t`, {}, { ca }),
    pusherClient: await connectPusher(wss(), undefined, { ca }).then(async (client) => {
      await client.subscribe("t");
      return client;
    }),
  });
  type Clients = Awaited<ReturnType<typeof connectAll>>;
  const received = ({ raws, fanwires, stream, pusherClient }: Clients): unknown[][] => [
    ...raws.map(({ frames }) => frames),
    ...fanwires.map((client) => client.data()),
    stream.data(),
    pusherClient.frames.filter(({ event }) => event === "message").map(({ data }) => data),
  ];
  /** Replaces the files. Resolves when every worker serves them. */
  const renew = async (pair: Certificate) => {
    const renewals = await metric(pusher.adminUrl, "fanwire_pusher_tls_renewals_total");
    files.replace(pair);
    await until("every worker serves the renewed certificate", async () => {
      return (await metric(pusher.adminUrl, "fanwire_pusher_tls_renewals_total")) === renewals + WORKERS;
    });
  };
  const untilRenewed = ({ adminUrl }: TestPusher) =>
    until("the certificate is renewed", async () => (await metric(adminUrl, "fanwire_pusher_tls_renewals_total")) > 0);
  const serialOf = ({ certFile }: Certificate) => new X509Certificate(readFileSync(certFile)).serialNumber;

  test("clients of every protocol connect with TLS only, and keep their connections when the certificate is renewed", async () => {
    await expect(connectRawClient(`ws://localhost:${port}/`)).rejects.toThrow();
    const before = await connectAll();
    const renewed = authority.issue(...NAMES);
    await renew(renewed);
    const after = await connectAll();
    for (let at = 0; at < 5; at++) expect(await servedSerial(port, ca)).toBe(serialOf(renewed));

    const contents = ["1", "2", "3", "4"];
    for (const content of contents) await publishToTopic(bus, "t", content);

    for (const clients of [before, after]) {
      await until(
        () => `everything is received once, not ${JSON.stringify(received(clients))}`,
        () => received(clients).every((contentsOfOne) => contentsOfOne.length >= contents.length),
      );
      expect(received(clients)).toEqual(received(clients).map(() => contents));
    }
  });

  test("a publication that excepts a connection reaches the connections of every certificate", async () => {
    const before = await Promise.all(Array.from({ length: 6 }, () => connectRawClient(wss("?topic=e"), {}, { ca })));
    await renew(authority.issue(...NAMES));
    const after = await Promise.all(Array.from({ length: 6 }, () => connectRawClient(wss("?topic=e"), {}, { ca })));
    const all = [...before, ...after];

    for (const [at, excepted] of [before[0], after[0]].entries()) {
      await publishToTopic(bus, "e", `but ${at}`, [["Except", excepted?.address ?? ""]]);
    }
    await publishToTopic(bus, "e", "all");

    await until("the last publication is received by all", () => all.every(({ frames }) => frames.includes("all")));
    for (const client of all) {
      const missing = client === before[0] ? "but 0" : client === after[0] ? "but 1" : "";
      expect(client.frames).toEqual(["but 0", "but 1", "all"].filter((content) => content !== missing));
    }
  });

  test("a client that upgrades a connection from before the renewal receives everything", async () => {
    using single = serveFiles(authority.issue(...NAMES));
    await using own = await startPusher({ nats: nats.url, env: { ...single.env, PUSHER_WORKERS: "1" } });
    const url = own.url.replace("ws://127.0.0.1", "wss://localhost");
    const early = connectTls({ host: "127.0.0.1", port: Number(new URL(url).port), ca, servername: "localhost" });
    let received = "";
    early.on("data", (chunk: Buffer) => {
      received += chunk.toString();
    });
    await once(early, "secureConnect");
    single.replace(authority.issue(...NAMES));
    await untilRenewed(own);
    const others = [await connectRawClient(url, {}, { ca }), await connectRawClient(url, {}, { ca })];

    early.write(`${HANDSHAKE.join("\r\n")}\r\n\r\n`);
    await until("the greeting", () => received.includes("workerID:"));
    await publishToEveryone(bus, "to all");

    await until("all receive it", () => received.includes("to all") && others.every(({ frames }) => frames.length > 0));
    early.destroy();
  });

  test("a burst reaches a client that does not read for a while, over TLS", async () => {
    const [slow, quick] = [await connectRawClient(wss(), {}, { ca }), await connectRawClient(wss(), {}, { ca })];
    slow.socket.pause();
    const content = "x".repeat(20_000);

    for (let at = 0; at < 150; at++) await publishToEveryone(bus, `${at} ${content}`);
    await until("the other client has everything", () => quick.frames.length === 150);
    slow.socket.resume();

    await until("the slow client has everything", () => slow.frames.length === 150);
    expect(slow.frames.map((frame) => Number.parseInt(String(frame), 10))).toEqual(
      Array.from({ length: 150 }, (_, at) => at),
    );
  });

  test("files that cannot be served leave the certificate, with an error and a metric, until they are mended", async () => {
    const good = authority.issue(...NAMES);
    await renew(good);
    const client = await connectRawClient(wss(), {}, { ca });
    files.replace({ certFile: authority.issue(...NAMES).certFile, keyFile: good.keyFile });
    await until("every worker reports an error", () => {
      const errors = pusher.process.logLines().filter(({ msg }) => String(msg).startsWith("TLS files unusable"));
      return errors.length === WORKERS && errors.every(({ level }) => level === "error");
    });
    expect(await servedSerial(port, ca)).toBe(serialOf(good));
    expect(await metric(pusher.adminUrl, "fanwire_pusher_tls_files_unusable")).toBe(WORKERS);
    const expiry = await metric(pusher.adminUrl, "fanwire_pusher_tls_certificate_expiry_seconds", { slot: "1" });
    expect(expiry * 1_000).toBe(Date.parse(new X509Certificate(readFileSync(good.certFile)).validTo));

    await renew(authority.issue(...NAMES));
    expect(await metric(pusher.adminUrl, "fanwire_pusher_tls_files_unusable")).toBe(0);
    await publishToEveryone(bus, "still here");
    await until("the client is still served", () => client.frames.includes("still here"));
  });

  test("a drain closes the connections of every certificate", async () => {
    using own = serveFiles(authority.issue(...NAMES));
    await using single = await startPusher({ nats: nats.url, env: { ...own.env, PUSHER_WORKERS: "1" } });
    const url = single.url.replace("ws://127.0.0.1", "wss://localhost");
    const before = await connectRawClient(url, {}, { ca });
    const stream = await readEvents(`${url.replace("wss", "https")}sse`, {}, { ca });
    own.replace(authority.issue(...NAMES));
    await untilRenewed(single);
    const after = await connectRawClient(url, {}, { ca });

    expect(await single.process.stop("SIGTERM")).toBe(0);

    await until("all are closed", () => before.close && after.close && stream.hasEnded());
    expect([before.close?.code, after.close?.code]).toEqual([1012, 1012]);
  });

  test("wrong files at the start end the process with a sentence", async () => {
    const [one, other] = [authority.issue(...NAMES), authority.issue(...NAMES)];
    const service = startService("pusher", {
      FANWIRE_NATS_URL: nats.url,
      PUSHER_TLS_CERT_FILE: one.certFile,
      PUSHER_TLS_KEY_FILE: other.keyFile,
    });

    await until("the process ends", () => service.end());

    expect(service.exit()?.code).toBe(1);
    expect(service.output()).toMatch(/PUSHER_TLS_KEY_FILE cannot be served: the key does not belong/);
  });

  test("a certificate is served only if it can be read, is valid now, and belongs to the key", async () => {
    const [one, other, expired] = [
      authority.issue(...NAMES),
      authority.issue(...NAMES),
      authority.issueExpired(...NAMES),
    ];
    const problem = async (pair: Certificate, now?: number) => {
      const read = await readCertificate(pair, now);
      return read.ok ? "" : read.problem;
    };

    expect(await problem(one)).toBe("");
    expect(await problem({ ...one, keyFile: other.keyFile })).toMatch(/the key does not belong/);
    expect(await problem(expired)).toMatch(/the certificate expired at 20/);
    expect(await problem(one, Date.now() - 86_400_000)).toMatch(/is not valid before 20/);
    expect(await problem({ ...one, certFile: one.keyFile })).toMatch(/holds no certificate in PEM/);
    expect(await problem({ ...one, keyFile: one.certFile })).toMatch(/holds no private key in PEM/);
    expect(await problem({ ...one, certFile: "/nowhere.pem" })).toMatch(/a file cannot be read: ENOENT.*nowhere/);
    expect(await problem({ ...one, certFile: "/tmp" })).toMatch(/cannot be read|is not a file/);
    expect(await problem({ ...one, certFile: "/dev/zero" })).toMatch(/is not a file/);
  });

  test("a pair is taken when both files are written, and a lasting problem is reported once", async () => {
    const lines: string[] = [];
    const log = { info: () => {}, error: ({ problem }: { problem: string }) => lines.push(problem) } as unknown as Log;
    const [first, second] = [authority.issue(...NAMES), authority.issue(...NAMES)];
    using own = serveFiles(first);
    const { PUSHER_TLS_CERT_FILE: certFile = "", PUSHER_TLS_KEY_FILE: keyFile = "" } = own.env;
    const read = await readCertificate({ certFile, keyFile });
    if (!read.ok) throw new Error(read.problem);
    const served: string[] = [];
    let isRefused = true;
    const serve = async (taken: { certFile: string }) => {
      if (isRefused) throw new Error("no app");
      served.push(readFileSync(taken.certFile, "utf8"));
    };
    const watch = new CertificateWatch({
      files: { certFile, keyFile },
      served: read.certificate,
      log,
      serve,
      pollMs: 10,
    });

    own.replace({ ...second, keyFile: first.keyFile });
    await until("the pair that does not fit is reported", () => watch.hasProblem);
    own.replace(second);
    await until("the app that refuses the pair is reported", () => watch.failures === 2);
    isRefused = false;
    await until("the pair is served", () => watch.renewals === 1);

    expect(lines.map((line) => line.replace(/ \(.*/s, ""))).toEqual([
      "the key does not belong to the certificate",
      "the certificate cannot be served: no app",
    ]);
    expect(served).toEqual([readFileSync(second.certFile, "utf8")]);
    await until("the problem is over", () => !watch.hasProblem);
    watch.stop();
  });
});
