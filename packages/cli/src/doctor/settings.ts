import { type BusConfig, busConfigFrom, sharedSettings } from "@fanwire/bus";
import { pusherAppsFrom, pusherAppsSettings } from "@fanwire/pusher-protocol";
import { ConfigError, knownSettings, readSettings, unknownSettings } from "@fanwire/service";
import type { Io } from "../io.ts";
import { tokenConfig } from "../tokens/check.ts";
import { type Finding, findingsOf } from "./finding.ts";

const report = findingsOf("settings");

/**
 * Checks the variables that services share, the apps and the key of tokens. Other variables are checked by their
 * service.
 */
export function checkSettings(io: Io): { readonly findings: Finding[]; readonly bus: BusConfig | undefined } {
  const findings = unknownSettings(io.env, knownSettings).map(({ name, nearest }) =>
    report.warning(`${name} is no variable of Fanwire.`, `The nearest known name is ${nearest}.`),
  );
  let bus: BusConfig | undefined;
  const checks = [
    () => {
      bus = busConfigFrom(readSettings(sharedSettings, io.env));
    },
    () => void pusherAppsFrom(readSettings(pusherAppsSettings, io.env)),
    () => {
      if (tokenConfig(io).keys.kind !== "none") return;
      findings.push(
        report.warning(
          "No token key is set here: a pusher with these variables lets every client subscribe to every topic.",
          "Set PUSHER_TOKEN_SECRET, _PUBLIC_KEY_FILE or _JWKS_URL, unless these are the variables of another service.",
        ),
      );
    },
  ];
  for (const check of checks) findings.push(...problemsOf(check));
  if (findings.every(({ status }) => status !== "problem")) findings.unshift(report.ok("the variables are valid"));
  return { findings, bus };
}

function problemsOf(check: () => void): Finding[] {
  try {
    check();
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [report.problem((error as Error).message, "docs/configuration.md describes every variable.")];
  }
}
