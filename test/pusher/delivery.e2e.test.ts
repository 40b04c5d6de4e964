import { beforeAll, beforeEach, describe, expect, test } from "vitest";
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

function post(body: unknown, publisher: 0 | 1 = 0): Promise<Response> {
  return fetch(`${publishers[publisher].url}/v1/publications`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
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

function only(client: RawClient): RawClient[] {
  return clients.filter(({ frames }) => frames.length > 0 || client.frames.length === 0);
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
        expect(only(target)).toEqual([target]);
        target.frames.length = 0;
      }
    },
  );

  test("unknown, malformed and incomplete addresses reach no connection", async () => {
    const [client] = clients as [RawClient];
    const unknown = [
      `to_worker_id=zzzzzzzz&to_connection_id=${client.connectionId}`,
      `to_worker_id=${client.workerId}&to_connection_id=999999`,
      `to_worker_id=${client.workerId}&to_connection_id=0${client.connectionId}`,
      `to_worker_id=${client.workerId}&to_connection_id=${client.connectionId}x`,
      `to_worker_id=${client.workerId}&to_connection_id=*`,
      `to_worker_id=*&to_connection_id=${client.connectionId}`,
      `to_worker_id=%3E&to_connection_id=%3E`,
      `to_worker_id=${client.workerId}.1&to_connection_id=1`,
      `to_worker_id=0&to_connection_id=1`,
    ];
    for (const query of unknown) expect(await get(`/?${query}&content=x`), query).toEqual({ status: 200, text: "ok" });
    for (const query of [`to_worker_id=${client.workerId}`, "to_connection_id=1", `to_worker_id=&to_connection_id=1`]) {
      expect((await get(`/?${query}&content=x`)).status, query).toBe(422);
    }

    await settle();
    expect(clients.filter(({ frames }) => frames.length > 0)).toEqual([]);
  });

  test("missing and empty content is not published, 0 is, and the last of two contents counts", async () => {
    for (const path of ["/", "/?", "/?content", "/?content="])
      expect(await get(path), path).toEqual({ status: 200, text: "ok" });
    await get("/?content=0");
    await get("/?content=first&content=last");

    await settle();
    expect(clients.map(({ frames }) => frames)).toEqual(clients.map(() => ["0", "last"]));
  });

  test("POST and HEAD publish the content of the query", async () => {
    const url = `${publishers[0].url}/?content=query`;
    expect(await (await fetch(url, { method: "POST", body: "content=body" })).text()).toBe("ok");
    expect((await fetch(url, { method: "HEAD" })).status).toBe(200);

    await settle();
    expect(clients.map(({ frames }) => frames)).toEqual(clients.map(() => ["query", "query"]));
  });

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

    const response = await post(
      contents.map((data) => ({ target: { everyone: true }, data })),
      1,
    );

    expect(response.status).toBe(200);
    await settle();
    for (const { frames } of clients) expect(frames).toEqual(contents);
  });

  test("a publication to one connection is answered as delivered, or with 404", async () => {
    for (const target of oneOfEachWorker()) {
      const response = await post({ target: { connection: target.address }, data: "hi" });
      expect([response.status, await response.json()]).toEqual([200, { status: "delivered" }]);
      expect(
        target.frames.length === 1 || (await until("the publication arrives", () => target.frames.length === 1)),
      ).toBe(true);
    }
    const [client] = clients as [RawClient];
    for (const connection of ["zzzzzzzz.1", `${client.workerId}.99999`]) {
      const response = await post({ target: { connection }, data: "hi" });
      expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([
        404,
        "connection_not_found",
      ]);
    }
  });

  test("a publication to a slow consumer is answered as buffered", async () => {
    const [slow] = await connectRawClients(pushers[0].url, 1);
    slow?.socket.pause();
    const publish = () => post({ target: { connection: slow?.address }, data: "x".repeat(100_000) });

    const answer = await until("the socket buffers are full", async () => {
      const body = (await (await publish()).json()) as { status: string };
      return body.status !== "delivered" && body;
    });

    expect(answer).toEqual({ status: "buffered" });
  });

  test("publications to everyone and to one connection keep their order", async () => {
    const [client] = clients as [RawClient];
    const batch = Array.from({ length: 200 }, (_, at) => ({
      target: at % 2 ? { everyone: true } : { connection: client.address },
      data: `n${at}`,
    }));

    for (const publication of batch) await post(publication);

    await settle();
    expect(client.frames).toEqual(batch.map(({ data }) => data));
  });
});

describe("/v1/connections and /v1/cluster", () => {
  test("a connection is found and closed, then 404", async () => {
    const [victim] = await connectRawClients(pushers[1].url, 1);
    const path = `/v1/connections/${victim?.address}`;
    const url = publishers[0].url + path;

    const found = JSON.parse((await get(path)).text);
    expect(found).toMatchObject({
      address: victim?.address,
      protocol: "raw",
      remoteAddress: "127.0.0.1",
      unsentBytes: 0,
    });
    expect(Math.abs(Date.parse(found.openedAt) - Date.now())).toBeLessThan(60_000);
    expect((await fetch(url, { method: "HEAD" })).status).toBe(200);

    expect((await fetch(url, { method: "DELETE" })).status).toBe(204);
    await until("the connection is closed", () => victim?.close);
    expect(victim?.close).toEqual({ code: 4403, reason: "closed by the application" });
    expect((await fetch(url, { method: "DELETE" })).status).toBe(404);
    expect((await get(path)).status).toBe(404);
    expect((await fetch(url, { method: "HEAD" })).status).toBe(404);
  });

  test("the cluster lists every worker", async () => {
    const { workers } = JSON.parse((await get("/v1/cluster")).text);

    expect(workers.map(({ id }: { id: string }) => id)).toEqual(
      [...new Set(clients.map(({ workerId }) => workerId))].sort(),
    );
    expect(workers.reduce((sum: number, { connections }: { connections: number }) => sum + connections, 0)).toBe(
      clients.length,
    );
    for (const worker of workers)
      expect(worker).toMatchObject({ version: "0.1.0", pid: expect.any(Number), host: expect.any(String) });
  });
});
