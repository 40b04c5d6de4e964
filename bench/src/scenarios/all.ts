import { burst } from "./burst.ts";
import type { Scenario } from "./scenario.ts";
import { steady } from "./steady.ts";
import { wide } from "./wide.ts";

export const scenarios: readonly Scenario[] = [steady, wide, burst];
