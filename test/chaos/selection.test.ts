import { describe, expect, it } from "vitest";
import { type Fault, faults } from "./faults.ts";
import { isAtLeast, selectFaults } from "./selection.ts";

const current = { server: "2.15.1", hasDisk: true, seconds: 1_800, only: "" };
const names = (selected: readonly Fault[]) => selected.map(({ name }) => name);

describe("selectFaults", () => {
  it("selects all faults for a long run on a current nats-server", () => {
    expect(selectFaults(faults, current)).toEqual({ faults, skipped: [] });
  });

  it("fails no NATS node on nats-server 2.9, and reports that", () => {
    const { faults: selected, skipped } = selectFaults(faults, { ...current, server: "2.9.10" });

    expect(names(selected)).toContain("worker killed");
    expect(names(selected)).toContain("NATS node loses messages");
    expect(
      names(selected).filter((name) => /leader|all NATS|node (killed|hangs|cut off)|to the others/.test(name)),
    ).toEqual([]);
    expect(skipped).toEqual([expect.stringMatching(/^skipped, needs a newer nats-server: .*history leader killed/)]);
  });

  it("omits long faults in a short run unless they are named", () => {
    expect(names(selectFaults(faults, { ...current, seconds: 80 }).faults)).not.toContain("worker hangs permanently");
    expect(names(selectFaults(faults, { ...current, seconds: 80, only: "permanently" }).faults)).toEqual([
      "worker hangs permanently",
    ]);
  });

  it("selects faults by parts of their names", () => {
    expect(names(selectFaults(faults, { ...current, only: "supervisor|publisher killed" }).faults)).toEqual([
      "supervisor killed",
      "supervisor hangs",
      "publisher killed",
    ]);
  });

  it("fills no disk if no node has its own, and reports that", () => {
    const { faults: selected, skipped } = selectFaults(faults, { ...current, hasDisk: false });

    expect(names(selected)).not.toContain("disk of a NATS node full");
    expect(skipped).toEqual(["skipped, needs a node with a disk of its own: disk of a NATS node full"]);
  });
});

it.each([
  ["2.9.10", "2.10.0", false],
  ["2.10.0", "2.10.0", true],
  ["2.15.1", "2.10.0", true],
  ["2.10", "2.10.0", true],
  ["2.10.0", "2.10.1", false],
  ["2.12.0-RC.1", "2.10.0", true],
  ["3.0.0", "2.10.0", true],
  ["1.4.1", "2.10.0", false],
  ["", "2.10.0", false],
])("isAtLeast(%j, %j) is %j", (version, minimum, expected) => {
  expect(isAtLeast(version, minimum)).toBe(expected);
});
