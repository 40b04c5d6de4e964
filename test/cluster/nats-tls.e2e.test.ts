import { type AddressInfo, createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Authority, createAuthority, hasOpenssl } from "../support/certificates.ts";
import { connectPeer } from "../support/channel-peer.ts";
import { startChannel, startPublisher, startPusher } from "../support/cluster.ts";
import { startNats, type TestNats } from "../support/nats.ts";
import { startService } from "../support/process.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { until } from "../support/wait.ts";

describe.skipIf(!hasOpenssl)("NATS with TLS", () => {
  let ours: Authority;
  let theirs: Authority;
  let nats: TestNats;
  /** Settings of a service for mutual TLS. */
  let mutual: Record<string, string>;

  beforeAll(async () => {
    [ours, theirs] = [createAuthority(), createAuthority()];
    const service = ours.issue("DNS:service");
    mutual = {
      FANWIRE_NATS_TLS_CA_FILE: ours.caFile,
      FANWIRE_NATS_TLS_CERT_FILE: service.certFile,
      FANWIRE_NATS_TLS_KEY_FILE: service.keyFile,
    };
    nats = await startNatsWithTls(["DNS:localhost"]);
  });
  afterAll(async () => {
    await nats[Symbol.asyncDispose]();
    ours[Symbol.dispose]();
    theirs[Symbol.dispose]();
  });

  function startNatsWithTls(names: string[]): Promise<TestNats> {
    const { certFile, keyFile } = ours.issue(...names);
    const certificates = ["--tlscert", certFile, "--tlskey", keyFile, "--tlscacert", ours.caFile];
    return startNats(["--tls", ...certificates, "--tlsverify"]);
  }

  const urlOf = ({ port }: { readonly port: number }) => `tls://localhost:${port}`;

  test("services connect to NATS by mutual TLS", async () => {
    const options = { nats: urlOf(nats), env: mutual };
    await using pusher = await startPusher(options);
    await using publisher = await startPublisher(options);
    await using channel = await startChannel(options);
    using peer = await connectPeer(channel);
    const client = await connectRawClient(pusher.url);

    expect((await fetch(`${publisher.url}/?content=sealed`)).status).toBe(200);

    await until("the publication arrives", () => client.frames.includes("sealed"));
    peer.publish(["broadcast"], { content: "from a peer" });
    await until("the peer's publication arrives", () => client.frames.includes("from a peer"));
    client.socket.close();
  });

  /** Returns the first reason that a publisher logs for not being connected. */
  async function reasonFor(env: Record<string, string>): Promise<unknown> {
    await using service = startService("publisher", { PUBLISHER_PORT: "0", PUBLISHER_ADMIN_PORT: "0", ...env });
    const line = await until("the publisher logs the reason", () =>
      service.logLines().find(({ msg }) => String(msg).startsWith("NATS cannot be reached yet")),
    );
    expect(service.output()).not.toContain("connected to NATS");
    return line.reason;
  }

  test("a service refuses a NATS certificate of another authority or name, and logs the reason", async () => {
    await using elsewhere = await startNatsWithTls(["DNS:nats.example"]);

    const [anotherCa, unknownCa, anotherName] = await Promise.all([
      reasonFor({ ...mutual, FANWIRE_NATS_URL: urlOf(nats), FANWIRE_NATS_TLS_CA_FILE: theirs.caFile }),
      reasonFor({ FANWIRE_NATS_URL: urlOf(nats) }),
      reasonFor({ ...mutual, FANWIRE_NATS_URL: urlOf(elsewhere) }),
    ]);

    expect(anotherCa).toBe("unable to verify the first certificate");
    expect(unknownCa).toBe("unable to verify the first certificate");
    expect(anotherName).toMatch(/does not match certificate's altnames: Host: localhost. is not in the cert/);
  });

  test.each([
    ["the scheme", (port: number) => ({ FANWIRE_NATS_URL: `tls://localhost:${port}` })],
    ["a CA", (port: number) => ({ FANWIRE_NATS_URL: `localhost:${port}`, FANWIRE_NATS_TLS_CA_FILE: ours.caFile })],
  ])(
    "a service whose %s demands TLS sends nothing to a server without TLS, in particular no password",
    async (_, env) => {
      let received = "";
      const server = createServer((socket) => {
        socket.on("data", (data) => (received += data));
        socket.on("error", () => {});
        socket.write('INFO {"server_id":"x","version":"2.9.10","proto":1,"max_payload":1048576,"headers":true}\r\n');
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo; // a server that listens on TCP has an AddressInfo
      const login = { FANWIRE_NATS_USER: "publisher", FANWIRE_NATS_PASSWORD: "s3cret" };

      const reason = await reasonFor({ ...env(port), ...login });

      expect(reason).toBe("server does not support 'tls'");
      expect(received).toBe("");
      server.close();
    },
  );
});
