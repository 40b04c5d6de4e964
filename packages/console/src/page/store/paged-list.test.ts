import { expect, test } from "vitest";
import type { ApiClient } from "../api/client.ts";
import { PagedList } from "./paged-list.ts";

type Answer = Awaited<ReturnType<ApiClient["get"]>>;

/** A list whose requests are answered by the test, in any order. */
function openList() {
  const requests: { readonly query: unknown; answer(answer: unknown): void }[] = [];
  const get = (_path: string, query: unknown) =>
    new Promise((resolve) => requests.push({ query, answer: (answer) => resolve(answer as Answer) }));
  const pageOf = ({ topics }: { topics: string[] }) => ({ rows: topics, total: topics.length });
  const list = new PagedList<string>({ get } as unknown as ApiClient, "/v1/topics", pageOf);
  return { list, requests };
}

const page = (topics: string[], more = {}) => ({ ok: true, value: { topics, ...more } });

test("pages follow the one before, previous ones are requested again, and other parameters begin at the first", async () => {
  const { list, requests } = openList();
  const answered = async (loading: Promise<void>, answer: unknown) => {
    requests.at(-1)?.answer(answer);
    await loading;
    return [requests.at(-1)?.query, list.number.value, list.page.value?.rows];
  };

  expect(list.use({ limit: "2" })).toBe(true);
  expect(list.use({ limit: "2" })).toBe(false);
  expect(await answered(list.load(), page(["a", "b"], { next: "b" }))).toEqual([{ limit: "2" }, 1, ["a", "b"]]);
  expect(await answered(list.next(), page(["c"], { missing: 1, complete: false, exact: false }))).toEqual([
    ...[{ limit: "2", after: "b" }, 2, ["c"]],
  ]);
  expect(list.page.value).toEqual({ rows: ["c"], total: 1, missing: 1, complete: false, exact: false });
  // The last page has no next one.
  expect(await answered(list.next(), page(["c"]))).toEqual([{ limit: "2", after: "b" }, 2, ["c"]]);
  expect(await answered(list.previous(), page(["a"], { next: "a" }))).toEqual([{ limit: "2" }, 1, ["a"]]);
  await answered(list.next(), page(["b"]));
  expect(list.use({ limit: "3" })).toBe(true);
  expect(list.number.value).toBe(1);
});

test("the rows stay while a page loads and when it fails, and an outdated answer is ignored", async () => {
  const { list, requests } = openList();
  const first = list.load();
  requests[0]?.answer(page(["a"]));
  await first;
  const failure = { ok: false, code: "nats_unavailable", message: "no NATS" };

  const [outdated, failed] = [list.load(), list.load()];
  expect([list.isLoading.value, list.page.value?.rows]).toEqual([true, ["a"]]);
  requests[1]?.answer(page(["outdated"]));
  await outdated;
  expect([list.isLoading.value, list.page.value?.rows]).toEqual([true, ["a"]]);
  requests[2]?.answer(failure);
  await failed;
  expect([list.isLoading.value, list.failure.value, list.page.value?.rows]).toEqual([false, failure, ["a"]]);

  const next = list.load();
  requests[3]?.answer({ ok: false, code: "aborted", message: "" });
  await next;
  expect(list.failure.value).toBe(failure);
  const last = list.load();
  requests[4]?.answer(page([]));
  await last;
  expect([list.failure.value, list.page.value?.rows]).toEqual([undefined, []]);
});
