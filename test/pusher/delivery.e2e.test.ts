import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { callApi, postPublication } from "../support/http-api.ts";
import { connectRawClients, type RawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { pushers, publishers } = useCluster();
let clients: RawClient[];

beforeAll(async () => {
  clients = (await Promise.all(pushers.map(({ url }) => connectToEachWorker(url)))).flat();
});

/** Connects clients until each of two workers has one, because the kernel spreads connections at random. */
async function connectToEachWorker(url: string): Promise<RawClient[]> {
  const connected: RawClient[] = [];
  do connected.push(...(await connectRawClients(url, 10)));
  while (new Set(connected.map(({ workerId }) => workerId)).size < 2);
  return connected;
}

beforeEach(() => {
  for (const client of clients) client.frames.length = 0;
});

async function get(path: string, publisher: 0 | 1 = 0): Promise<{ status: number; text: string }> {
  const response = await fetch(`${publishers[publisher].url}${path}`);
  return { status: response.status, text: await response.text() };
}

/** Waits until everything published before has arrived. */
async function settle(): Promise<void> {
  await get("/?content=settled");
  await until("all receive the last publication", () => clients.every(({ frames }) => frames.at(-1) === "settled"));
  for (const client of clients) client.frames.pop();
}

/** Returns one client of each worker. */
function oneOfEachWorker(): RawClient[] {
  return [...new Map(clients.map((client) => [client.workerId, client])).values()];
}

describe("the classic route", () => {
  test("a greeting has the ids of the connection, which are unique in the cluster", () => {
    expect(new Set(clients.map(({ workerId }) => workerId)).size).toBe(4);
    expect(new Set(clients.map(({ address }) => address)).size).toBe(clients.length);
    for (const { workerId } of oneOfEachWorker()) {
      const ids = clients
        .filter((client) => client.workerId === workerId)
        .map(({ connectionId }) => Number(connectionId));
      expect(ids.sort((a, b) => a - b)).toEqual(ids.map((_, at) => at + 1));
    }
  });

  test.each([0, 1] as const)(
    "publisher %i delivers content to every connection of every worker once",
    async (publisher) => {
      expect(await get("/?content=hello", publisher)).toEqual({ status: 200, text: "ok" });

      await until("all clients receive it", () => clients.every(({ frames }) => frames.length > 0));
      await settle();
      expect(clients.map(({ frames }) => frames)).toEqual(clients.map(() => ["hello"]));
    },
  );

  test.each([0, 1] as const)(
    "publisher %i delivers to the connection with the ids of a greeting only",
    async (publisher) => {
      for (const target of oneOfEachWorker()) {
        const path = `/?to_worker_id=${target.workerId}&to_connection_id=${target.connectionId}&content=for+you`;
        expect(await get(path, publisher)).toEqual({ status: 200, text: "ok" });
        await until("the target receives the publication", () => target.frames.length > 0);
        await settle();

        expect(target.frames).toEqual(["for you"]);
        expect(clients.filter(({ frames }) => frames.length > 0)).toEqual([target]);
        target.frames.length = 0;
      }
    },
  );

  test("valid UTF-8 is delivered as text, other content as binary", async () => {
    await get(`/?content=${encodeURIComponent("щ 🐘 +&=")}`);
    await get("/?content=%FF%00%FE");
    await get("/?content=%D1"); // an incomplete character
    await get("/?content=100%25+%zz%");

    await settle();
    const expected = ["щ 🐘 +&=", Buffer.from([0xff, 0, 0xfe]), Buffer.from([0xd1]), "100% %zz%"];
    expect(clients.map(({ frames }) => frames)).toEqual(clients.map(() => expected));
  });
});

describe("/v1/publications", () => {
  test("publications of one batch are delivered to everyone in order", async () => {
    const contents = Array.from({ length: 1_000 }, (_, at) => `n${at}`);

    const batch = contents.map((data) => ({ target: { everyone: true }, data }));
    expect((await postPublication(publishers[1], batch)).status).toBe(200);

    await settle();
    for (const { frames } of clients) expect(frames).toEqual(contents);
  });

  test("a publication to one connection is answered as delivered, or with 404", async () => {
    for (const target of oneOfEachWorker()) {
      const answer = await postPublication(publishers[0], { target: { connection: target.address }, data: "hi" });
      expect(answer).toEqual({ status: 200, body: { status: "delivered" } });
      await until("the publication arrives", () => target.frames.length === 1);
    }
    const [client] = clients as [RawClient];
    for (const connection of ["zzzzzzzz.1", `${client.workerId}.99999`]) {
      const answer = await postPublication(publishers[0], { target: { connection }, data: "hi" });
      expect(answer).toMatchObject({ status: 404, body: { error: { code: "connection_not_found" } } });
    }
  });

  test("a publication to a slow consumer is answered as buffered", async () => {
    const [slow] = await connectRawClients(pushers[0].url, 1);
    slow?.socket.pause();
    const publication = { target: { connection: slow?.address }, data: "x".repeat(100_000) };

    const answer = await until("the socket buffers are full", async () => {
      const { body } = await postPublication<{ status: string }>(publishers[0], publication);
      return body.status !== "delivered" && body;
    });

    expect(answer).toEqual({ status: "buffered" });
  });
});

describe("/v1/connections and /v1/cluster", () => {
  test("a connection is found and closed, then 404", async () => {
    const [victim] = await connectRawClients(pushers[1].url, 1);
    const call = (method: string) =>
      callApi<{ openedAt: string }>(publishers[0], method, `/v1/connections/${victim?.address}`);

    const { body: found } = await call("GET");
    expect(found).toMatchObject({
      address: victim?.address,
      protocol: "raw",
      remoteAddress: "127.0.0.1",
      unsentBytes: 0,
    });
    expect(Math.abs(Date.parse(found.openedAt) - Date.now())).toBeLessThan(60_000);

    expect((await call("DELETE")).status).toBe(204);
    await until("the connection is closed", () => victim?.close);
    expect(victim?.close).toEqual({ code: 4403, reason: "closed by the application" });
    for (const method of ["DELETE", "GET"]) expect((await call(method)).status).toBe(404);
  });

  test("the cluster lists every worker", async () => {
    type Workers = { workers: { id: string; connections: number }[] };
    const { workers } = (await callApi<Workers>(publishers[0], "GET", "/v1/cluster")).body;

    expect(workers.map(({ id }) => id)).toEqual([...new Set(clients.map(({ workerId }) => workerId))].sort());
    expect(workers.reduce((sum, { connections }) => sum + connections, 0)).toBe(clients.length);
    for (const worker of workers)
      expect(worker).toMatchObject({ version: "0.1.0", pid: expect.any(Number), host: expect.any(String) });
  });
});
