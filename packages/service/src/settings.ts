import * as z from "zod";
import { originProblem } from "./origin-setting.ts";
import { isServiceLink } from "./service-links.ts";

/**
 * Building blocks for the schemas that read the environment. Each block takes text as a user would write it and has a
 * default in the same form, so that docs/configuration.md can show it. Every setting adds `.describe()`: its
 * documentation.
 */
export const setting = {
  text: (defaultText?: string) => withDefault(z.string(), defaultText),
  /** Optional text; `undefined` when the variable is absent. */
  optionalText: () => z.string().min(1).optional(),
  integer: ({ min, max, default: defaultNumber }: { min: number; max: number; default?: number }) =>
    withDefault(
      z
        .string()
        .regex(/^-?[0-9]{1,15}$/, "must be a whole number")
        .transform(Number)
        .pipe(z.number().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`)),
      defaultNumber?.toString(),
    ),
  /** Address to listen on. Empty text, which would mean every interface, counts as absent. */
  host: (defaultHost: string) => withDefault(z.string().min(1), defaultHost),
  port: (defaultPort: number) => setting.integer({ min: 0, max: 65_535, default: defaultPort }),
  /**
   * Comma-separated list without blanks around items. Empty text is an empty list. Text without items is refused,
   * because an empty list often means no restriction.
   */
  list: (defaultText: string) =>
    z
      .string()
      .refine((text) => text === "" || /[^,\s]/.test(text), "must have an entry, or be empty")
      .transform((text) =>
        text
          .split(",")
          .map((item) => item.trim())
          .filter((item) => item !== ""),
      )
      .prefault(defaultText),
  /** List of origins of pages, which `isAllowedOrigin` compares. */
  origins: (defaultText: string) =>
    setting.list(defaultText).superRefine((entries, context) => {
      const problems = entries.flatMap((entry) => originProblem(entry) ?? []);
      if (problems.length > 0) context.addIssue({ code: "custom", message: problems.join("; ") });
    }),
  oneOf: <const Choice extends string>(choices: readonly [Choice, ...Choice[]], defaultChoice: NoInfer<Choice>) =>
    z.enum(choices, { error: `must be one of ${choices.join(", ")}` }).prefault(defaultChoice),
};

function withDefault<Schema extends z.ZodType<unknown, string>>(schema: Schema, defaultText: string | undefined) {
  return schema.prefault(defaultText as z.input<Schema>);
}

/** Reports all errors in the environment, one variable per line. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

type SettingsShape = Record<string, z.ZodType<unknown, string | undefined>>;

/**
 * Reads the variables that `shape` names. An empty variable counts as absent unless its schema accepts empty text,
 * because compose files and units often pass `NAME=`. `PUSHER_PORT=tcp://…` of Kubernetes counts as absent too.
 *
 * @throws ConfigError that names every wrong variable.
 */
export function readSettings<Shape extends SettingsShape>(
  shape: Shape,
  env: Record<string, string | undefined>,
): z.output<z.ZodObject<Shape>> {
  const present = Object.entries(shape).filter(([name, schema]) => {
    const value = env[name];
    if (value === undefined || isServiceLink(name, value)) return false;
    return value !== "" || schema.safeParse("").success;
  });
  const parsed = z.object(shape).safeParse(Object.fromEntries(present.map(([name]) => [name, env[name]])));
  if (parsed.success) return parsed.data;

  const lines = parsed.error.issues.map((issue) => {
    const name = issue.path.map(String).join(".");
    return `  ${name}: ${env[name] ? issue.message : "is required"}`;
  });
  throw new ConfigError(`These environment variables are wrong:\n${lines.join("\n")}`);
}

export type SettingRow = { readonly name: string; readonly default: string; readonly description: string };

/** Returns one row per variable, for `--help` and docs/configuration.md. */
export function describeSettings(shape: SettingsShape): SettingRow[] {
  return Object.entries(shape).map(([name, schema]) => ({
    name,
    default: schema instanceof z.ZodPrefault ? String(schema.def.defaultValue) : "",
    description: schema.description ?? "",
  }));
}
