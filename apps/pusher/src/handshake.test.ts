import type { HttpRequest, HttpResponse } from "uWebSockets.js";
import { expect, test } from "vitest";
import { OPEN_GRANT } from "./core/claims.ts";
import type { Edge } from "./edge.ts";
import { Handshakes, type Unverified } from "./handshake.ts";
import { newTraffic } from "./traffic.ts";

/** What the handshake asks of a request with this query. */
const requestWith = (query: string) => ({ getHeader: () => "", getQuery: () => query }) as unknown as HttpRequest;

/** Keeps the status that it is answered with. */
function recordingResponse(): { readonly response: HttpResponse; status(): string | undefined } {
  let written: string | undefined;
  const fake = {
    writeStatus: (status: string) => {
      written = status;
      return fake;
    },
    writeHeader: () => fake,
    end: () => fake,
  };
  return { response: fake as unknown as HttpResponse, status: () => written };
}

test("who waits for its token to be checked takes a place, until it was checked", async () => {
  const checks: (() => void)[] = [];
  const verify = () =>
    new Promise<{ readonly ok: true; readonly grant: typeof OPEN_GRANT }>((resolve) =>
      checks.push(() => resolve({ ok: true, grant: OPEN_GRANT })),
    );
  const traffic = newTraffic();
  const handshakes = new Handshakes({
    edge: { refusal: () => undefined, openConnections: 1, isDraining: false } as unknown as Edge,
    verifier: { isOpen: false, anonymous: OPEN_GRANT, verify },
    maxTopics: 1,
    maxConnections: 3,
    traffic,
  });
  const receive = () => {
    const { response, status } = recordingResponse();
    return { received: handshakes.receive(response, requestWith("token=a.b.c")), status };
  };
  const waiting = [1, 2].map(() => handshakes.verify(receive().received as Unverified));

  const refused = receive();

  expect([refused.received, refused.status()]).toEqual([undefined, "503 Service Unavailable"]);
  expect(traffic.refused["connection-limit"]).toBe(1);
  for (const check of checks) check();
  expect(await Promise.all(waiting)).toMatchObject([{ outcome: "admitted" }, { outcome: "admitted" }]);
  expect(receive().received).toMatchObject({ outcome: "unverified" });
});
