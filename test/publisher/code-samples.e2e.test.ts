import { execFile, spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { connectFanwire } from "../support/fanwire-client.ts";
import { missingPhpCurl } from "../support/php-curl.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const run = promisify(execFile);
const KEY = "0123456789abcdef";

const { pusher, publisher } = useCluster({
  pusher: { PUSHER_WORKERS: "1" },
  publisher: { PUBLISHER_API_KEYS: KEY },
});

type Operation = { readonly "x-codeSamples"?: readonly { readonly label: string; readonly source: string }[] };
type Document = { readonly paths: Readonly<Record<string, { readonly post?: Operation }>> };

async function readSamples(): Promise<Map<string, string>> {
  const document = (await (await fetch(`${publisher.url}/openapi.json`)).json()) as Document;
  const samples = document.paths["/v1/publications"]?.post?.["x-codeSamples"] ?? [];
  return new Map(samples.map(({ label, source }) => [label, source]));
}

/** Runs the text of a program. `-r` of PHP takes none of its tags. */
const programs: Record<string, (source: string) => Promise<unknown>> = {
  curl: (source) => run("sh", ["-c", source]),
  Node: (source) => run(process.execPath, ["--input-type=module", "-e", source]),
  PHP: (source) => run("php", ["-r", source.replace("<?php", "")]),
  Python: (source) => run("python3", ["-c", source]),
};
const isPresent = (program: string) => spawnSync(program, ["--version"]).status === 0;
const isMissing: Record<string, boolean> = {
  curl: !isPresent("curl"),
  PHP: missingPhpCurl !== undefined,
  Python: !isPresent("python3"),
};

test("the code samples of the API publish, and fail with a wrong key", async () => {
  const samples = await readSamples();
  const client = await connectFanwire(pusher.url, { topic: "orders.*" });
  const labels = Object.keys(programs).filter((label) => !isMissing[label]);

  for (const label of labels) {
    const source = samples.get(label)?.replaceAll("http://localhost:4237", publisher.url) ?? "";
    await programs[label]?.(source.replace("<key>", KEY));
    await expect(programs[label]?.(source.replace("<key>", "a-wrong-key-of-16")), label).rejects.toThrow();
  }

  await until("all publications arrive", () => client.publications.length === labels.length);
  for (const { topic, event, data } of client.publications) {
    expect([topic, event, JSON.parse(String(data))]).toEqual(["orders.7", "paid", { total: 9.5 }]);
  }
  await until("the refusals are logged", () => publisher.process.output().includes("requests refused"));
  // On a slow machine more lines follow, because there is one in ten seconds.
  const refused = publisher.process.logLines().find(({ msg }) => msg === "requests refused");
  expect(refused).toMatchObject({ status: 401, code: "unauthorized", requests: 1 });
  expect(publisher.process.output()).not.toMatch(/wrong-key|orders\.7/);
});

test("docs/http-api.md has the same samples", async () => {
  const page = await readFile(new URL("../../docs/http-api.md", import.meta.url), "utf8");
  const samples = await readSamples();

  expect([...samples.keys()]).toEqual(["curl", "Node", "PHP", "Python", "Go"]);
  for (const [label, source] of samples) expect(page, label).toContain(`\n${source}\n`);
});
