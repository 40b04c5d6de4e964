import { describe, expect, test } from "vitest";
import { errorCode, usePublisher } from "../testing.ts";

const { worker, url, rawGet } = usePublisher();

describe("the classic route", () => {
  test("publishes its content to everyone by any of its methods, and answers ok", async () => {
    for (const method of ["GET", "POST", "HEAD"]) {
      const response = await fetch(url("/?content=hello"), {
        method,
        ...(method === "POST" && { body: "content=no" }),
      });
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
      expect(await response.text()).toBe(method === "HEAD" ? "" : "ok");
    }

    await worker.receives(3);
    expect(worker.received).toEqual(
      Array(3).fill({ subject: "fanwire.live.all", content: Buffer.from("hello"), headers: {} }),
    );
  });

  test("publishes any bytes unchanged", async () => {
    await rawGet("/?content=привет");
    await rawGet(Buffer.concat([Buffer.from("/?content="), Buffer.from([0xff, 0xfe])]));
    await rawGet("/?content=%FF%00+%2B%zz");
    await rawGet("/?content=first&content=0");

    await worker.receives(4);
    expect(worker.receivedContents()).toEqual([
      Buffer.from("привет").toString("latin1"),
      "\u00ff\u00fe",
      "\u00ff\u0000 +%zz",
      "0",
    ]);
  });

  test("publishes to one connection when both ids are given", async () => {
    const answer = await rawGet("/?to_worker_id=worker01&to_connection_id=17&content=x");

    await worker.receives(1);
    expect(answer).toMatch(/\r\n\r\nok$/);
    expect(worker.received[0]?.subject).toBe("fanwire.live.connection.worker01.17");
  });

  test("answers ok if there is nothing to publish or no such connection", async () => {
    const queries = ["", "?", "?content=", "?a=b", "?to_worker_id=worker99&to_connection_id=1&content=x"];
    const malformed = [
      "?to_worker_id=worker1&to_connection_id=2&content=x",
      "?to_worker_id=*&to_connection_id=>&content=x",
    ];
    for (const query of [...queries, ...malformed]) {
      const response = await fetch(url(`/${query}`));
      expect([response.status, await response.text()], query).toEqual([200, "ok"]);
    }

    expect(worker.received).toEqual([]);
  });

  test("refuses one id without the other and arrays of ids, instead of publishing to others", async () => {
    for (const ids of [
      "to_worker_id=worker01",
      "to_connection_id=1",
      "to_worker_id=worker01&to_connection_id=",
      "to_worker_id=&to_connection_id=",
      "to_worker_id",
      "to_worker_id=worker01&to_connection_id[]=1",
      "to_worker_id[]=worker01&to_connection_id=1",
      "to_worker_id=worker01&to_connection_id=1&to_connection_id[a]=1",
      "to_worker_id[]=worker01&to_connection_id%5B%5D=1",
      "to_connection_id[]=1",
    ]) {
      const response = await fetch(url(`/?content=x&${ids}`));
      expect([response.status, await errorCode(response)], ids).toEqual([422, "invalid_request"]);
    }

    expect(worker.received).toEqual([]);
  });

  test("refuses other methods", async () => {
    const response = await fetch(url("/?content=x"), { method: "PUT" });

    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD, POST"]);
  });
});
