import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { createPoster, type Poster } from "./post.ts";

const servers: Server[] = [];
let poster: Poster | undefined;

afterEach(async () => {
  poster?.stop();
  await closeServers();
});

async function closeServers(): Promise<void> {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function start(onRequest: RequestListener): Promise<() => ReturnType<Poster["post"]>> {
  const server = createServer(onRequest);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`); // a TCP server has an AddressInfo
  const own = createPoster(url, 1);
  poster = own;
  return () => own.post({ headers: { "X-Pusher-Key": "k" }, body: "тело" });
}

test("the body arrives whole, with its length in bytes", async () => {
  const received: string[] = [];
  const post = await start(async (request, response) => {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    received.push(`${request.headers["content-length"]} ${body}`);
    response.writeHead(201).end();
  });

  expect(await post()).toEqual({ ok: true });
  expect(received).toEqual(["8 тело"]);
});

test("SSRF: a redirect is refused and not followed", async () => {
  const paths: (string | undefined)[] = [];
  const post = await start(({ url }, response) => {
    paths.push(url);
    response.writeHead(302, { location: "/elsewhere" }).end();
  });

  expect(await post()).toEqual({ ok: false, reason: "status 302" });
  expect(paths).toEqual(["/"]);
});

test("a long answer is cut off", async () => {
  let written = 0;
  let onEnd = () => {};
  const ended = new Promise<void>((resolve) => (onEnd = resolve));
  const post = await start((request, response) => {
    request.resume();
    response.on("close", () => onEnd());
    const write = () => {
      while (!response.destroyed && response.write(Buffer.alloc(16_384))) written += 16_384;
    };
    response.on("drain", write);
    response.writeHead(200);
    write();
  });

  expect(await post()).toEqual({ ok: true });
  await ended;
  expect(written).toBeLessThan(20_000_000);
});

test("a kept connection that the receiver has closed is replaced", async () => {
  const seen = new Map<IncomingMessage["socket"], number>();
  const post = await start((request, response) => {
    request.resume();
    const count = (seen.get(request.socket) ?? 0) + 1;
    seen.set(request.socket, count);
    if (count > 1) request.socket.resetAndDestroy();
    else response.end();
  });

  expect(await post()).toEqual({ ok: true });
  await new Promise((resolve) => setImmediate(resolve));
  expect(await post()).toEqual({ ok: true });
  expect(seen.size).toBe(2);
});

test("no answer and no server are refusals with a reason", async () => {
  const post = await start(() => {});
  expect(await post()).toMatchObject({ ok: false, reason: "no answer within 5000 ms" });

  await closeServers();
  expect(await post()).toMatchObject({ ok: false, reason: expect.stringContaining("ECONNREFUSED") });
});
