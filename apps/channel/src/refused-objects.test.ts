import { describe, expect, it } from "vitest";
import { isRefusedObject } from "./refused-objects.ts";

function isRefused(className: string, propertyCount: number): boolean {
  return isRefusedObject(Buffer.from(className, "latin1"), propertyCount);
}

describe("refused objects", () => {
  it("are those of classes that PHP never reads, in any case", () => {
    expect([isRefused("Closure", 0), isRefused("cLOSURE", 3), isRefused("ReflectionClass", 1)]).toEqual([
      true,
      true,
      true,
    ]);
  });

  it("are those of built-in classes that cannot be without properties, when they have none", () => {
    expect([isRefused("DateTime", 0), isRefused("ArrayObject", 0)]).toEqual([true, true]);
    expect([isRefused("DateTime", 3), isRefused("ArrayObject", 4)]).toEqual([false, false]);
  });

  it("are not those of an application's own classes", () => {
    const names = ["stdClass", "App\\Closure", "ReflectionException", "Closures", "x".repeat(10_000), "\xff"];

    expect(names.filter((name) => isRefused(name, 0))).toEqual([]);
  });
});
