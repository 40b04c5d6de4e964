import { describe, expect, test } from "vitest";
import { errorCode, errorOf, usePublisher } from "../testing.ts";

const { worker, running, startAnother, post, rawExchange } = usePublisher();

describe("POST /v1/publications", () => {
  test("publishes bytes and headers to everyone", async () => {
    const everyone = { everyone: true };
    const text = await post({ target: everyone, data: "привет", event: "событие", id: "7", except: "worker01.3" });
    const bytes = await post({ target: everyone, data: "/wCA", encoding: "base64" });

    await worker.receives(2);
    expect([text.status, await text.json()]).toEqual([200, { status: "published" }]);
    expect([bytes.status, await bytes.json()]).toEqual([200, { status: "published" }]);
    const subject = "fanwire.live.all";
    expect(worker.received).toEqual([
      { subject, content: Buffer.from("привет"), headers: { Event: "событие", Id: "7", Except: "worker01.3" } },
      { subject, content: Buffer.from([0xff, 0x00, 0x80]), headers: {} },
    ]);
  });

  test("publishes any JSON value as its text, exactly as the caller wrote it", async () => {
    const values = [
      "1.0",
      "1e400",
      "-0",
      "12345678901234567890",
      "null",
      "true",
      '[1, {"a":\t"\\ud83d"}]',
      '{"data":"x"}',
    ];
    const requests = values.map((value) => `{"target":{"everyone":true},"data" : ${value} }`);

    for (const request of requests) expect((await post(request)).status).toBe(200);
    expect((await post(`[${requests.join()}, {"target":{"topic":"a"},"data":"\\u0041"}]`)).status).toBe(200);

    await worker.receives(2 * values.length + 1);
    expect(worker.receivedContents()).toEqual([...values, ...values, "A"]);
  });

  test("an error names what is missing, and fields that are meant", async () => {
    const refused = await post({ topik: "orders", content: "x" });

    const { details } = await errorOf(refused);
    expect(refused.status).toBe(422);
    expect(details).toEqual([
      { field: "target", message: expect.stringContaining('is missing; it must be one of {"everyone": true}') },
      { field: "data", message: expect.stringContaining("is missing; send text or any JSON value") },
      { message: expect.stringContaining('"content" (the content is `data`)') },
    ]);
    const cut = await post('{"target":{"everyone":true},"data":');
    expect([cut.status, (await errorOf(cut)).details]).toEqual([400, [{ message: expect.stringMatching(/JSON/) }]]);
  });

  test("publishes to a topic, to each of several, and to a user", async () => {
    const answers = [];
    for (const target of [{ topic: "orders/7.ж" }, { topics: ["b", "a"] }, { user: "a.b" }]) {
      const response = await post({ target, data: "x" });
      answers.push([response.status, await response.json()]);
    }

    await worker.receives(4);
    expect(answers).toEqual(Array(3).fill([200, { status: "published" }]));
    expect(worker.received.map(({ subject }) => subject)).toEqual([
      "fanwire.live.topic.orders=2F7.=D0=B6",
      "fanwire.live.topic.b",
      "fanwire.live.topic.a",
      "fanwire.live.user.a=2Eb",
    ]);
  });

  test("answers with the report of the connection's worker", async () => {
    const toConnection = { target: { connection: "worker01.7" }, data: "x" };
    for (const [outcome, status, answer] of [
      ["delivered", 200, { status: "delivered" }],
      ["buffered", 200, { status: "buffered" }],
      ["no-connection", 404, { error: { code: "connection_not_found" } }],
      ["invalid", 502, { error: { code: "malformed_reply" } }],
    ] as const) {
      worker.outcome = outcome;
      const response = await post(toConnection);
      expect(response.status).toBe(status);
      expect(await response.json()).toMatchObject(answer);
    }
  });

  test("is 404 if there is no such worker, and 503 if it does not answer", async () => {
    await using impatient = await startAnother({ PUBLISHER_REQUEST_TIMEOUT_MS: "50" });
    worker.outcome = "silence";

    const unknown = await post({ target: { connection: "worker99.1" }, data: "x" });
    const silent = await post({ target: { connection: "worker01.1" }, data: "x" }, impatient);

    expect([unknown.status, await errorCode(unknown)]).toEqual([404, "connection_not_found"]);
    expect([silent.status, silent.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await silent.json()).toMatchObject({ error: { code: "worker_timeout", message: /may have been/ } });
  });

  test("keeps the order of the largest batch, which takes several ticks", async () => {
    const topics = Array.from({ length: 100 }, (_, at) => `large.${at}`);
    const batch = Array.from({ length: 1_000 }, (_, at) => ({
      target: at % 30 === 0 ? { topics } : { everyone: true },
      ...(at % 3 === 1 && { event: "e" }),
      data: String(at),
    }));

    const response = await post(batch);

    expect(await response.json()).toEqual({ results: Array(1_000).fill({ status: "published" }) });
    const contents = batch.flatMap(({ target, data }) => Array("topics" in target ? 100 : 1).fill(data));
    await worker.receives(contents.length);
    expect(worker.receivedContents()).toEqual(contents);
  });

  test("answers each publication of a batch separately", async () => {
    const response = await post([
      { target: { everyone: true }, data: "a" },
      { target: { connection: "worker01.1" }, data: "b" },
      { target: { connection: "worker99.1" }, data: "c" },
      { target: { everyone: true }, data: "d".repeat(100_001) },
      { target: { everyone: true }, data: "e" },
    ]);

    await worker.receives(3);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      results: [
        { status: "published" },
        { status: "delivered" },
        { error: { code: "connection_not_found" } },
        { error: { code: "content_too_large" } },
        { status: "published" },
      ],
    });
    expect(worker.receivedContents()).toEqual(["a", "b", "e"]);
  });

  test("publishes nothing of a batch with invalid publications, and lists the problems", async () => {
    const good = { target: { everyone: true }, data: "x" };
    const response = await post([good, { target: good.target }, good, { ...good, target: {} }]);

    expect(response.status).toBe(422);
    expect(await errorOf(response)).toMatchObject({
      code: "invalid_request",
      details: [
        { index: 1, field: "data" },
        { index: 3, field: "target" },
      ],
    });
    expect((await post([])).status).toBe(422);
    expect((await post(Array(1_001).fill(good))).status).toBe(422);
    expect(worker.received).toEqual([]);
  });

  const bad: [name: string, body: string | Uint8Array, status: number, code: string][] = [
    ["an empty body", "", 400, "malformed_json"],
    ["invalid JSON", "{", 400, "malformed_json"],
    ["invalid UTF-8", Buffer.from('{"data":"\xff"}', "latin1"), 400, "malformed_json"],
    ["a number", "7", 422, "invalid_request"],
    ["an unknown field", '{"target":{"everyone":true},"data":"x","receipts":true}', 422, "invalid_request"],
    [
      "content over the limit of NATS",
      JSON.stringify({ target: { everyone: true }, data: "x".repeat(100_001) }),
      413,
      "content_too_large",
    ],
  ];

  test.each(bad)("refuses %s", async (_name, body, status, code) => {
    const response = await post(body);

    expect([response.status, await errorCode(response)]).toEqual([status, code]);
    expect(worker.received).toEqual([]);
  });

  test("accepts only JSON with its content type", async () => {
    const publication = { target: { everyone: true }, data: "x" };
    const statusOf = async (type: string) =>
      (await post(publication, running().publisher, { "Content-Type": type })).status;

    for (const charset of ["UTF-8", "utf8", '"utf-8"', "utf-8;"]) {
      expect(await statusOf(`application/json; charset=${charset}`), charset).toBe(200);
    }
    for (const type of [
      "APPLICATION/JSON ; Charset=Utf-8",
      "application/vnd.api+json",
      'application/ld+json; profile="https://app.example/a"; charset=utf-8',
      "application/json; odata.metadata=minimal",
    ]) {
      expect(await statusOf(type), type).toBe(200);
    }
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "text/plain; application/json",
      "application/json, text/plain",
      "application/json; charset=utf-16",
      "application/json; v=1; charset=iso-8859-1",
      "application/json; charset=",
    ]) {
      expect(await statusOf(type), type).toBe(415);
    }
  });
});

test("a publication is answered with its outcome before invalid bytes on the same connection", async () => {
  const publication = (data: string) => JSON.stringify({ target: { everyone: true }, data });
  const head = "POST /v1/publications HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
  const whole = (body: string) => `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
  const broken = `${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{"tar\r\nzz\r\n`;

  const garbage = await rawExchange(`${whole(publication("a"))}GARBAGE\u0001\r\n\r\n`);
  const pipelined = await rawExchange(whole(publication("b")) + whole(publication("c")) + broken);

  const answers = (text: string) =>
    [...text.matchAll(/HTTP\/1\.1 (\d+)|"status":"(\w+)"|"code":"(\w+)"/g)].map(([all]) => all);
  expect(answers(garbage)).toEqual(["HTTP/1.1 200", '"status":"published"']);
  expect(answers(pipelined)).toEqual([
    ...["HTTP/1.1 200", '"status":"published"', "HTTP/1.1 200", '"status":"published"'],
    ...["HTTP/1.1 400", '"code":"malformed_request"'],
  ]);
  await worker.receives(3);
  expect(worker.receivedContents()).toEqual(["a", "b", "c"]);
});
