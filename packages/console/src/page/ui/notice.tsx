import type { ComponentChildren } from "preact";
import type { ApiFailure } from "../api/client.ts";

type NoticeProps = { readonly kind: "info" | "warn" | "bad" | "good"; readonly children: ComponentChildren };

/** A sentence about the state of what is below it. Screen readers announce it. */
export function Notice({ kind, children }: NoticeProps) {
  return (
    <p class={`notice ${kind}`} role={kind === "bad" ? "alert" : "status"}>
      {children}
    </p>
  );
}

/** Shows why the last request failed. `isStale`: what is shown below is of an earlier one. */
export function FailureNotice(props: { readonly failure: ApiFailure | undefined; readonly isStale?: boolean }) {
  const { failure, isStale = false } = props;
  if (failure === undefined) return null;
  const { status, message } = failure;
  return (
    <Notice kind="bad">
      {message}
      {status !== undefined && ` (${status})`}
      {isStale && " What is shown is older."}
    </Notice>
  );
}

type GapsProps = {
  readonly missing: number | readonly string[] | undefined;
  readonly complete?: false | undefined;
};

/** Shows that some workers did not answer, so that figures and lists are lower bounds. */
export function GapsNotice({ missing, complete }: GapsProps) {
  const count = typeof missing === "number" ? missing : (missing?.length ?? 0);
  if (count === 0 && complete !== false) return null;
  const names = typeof missing === "object" ? `: ${missing.join(", ")}` : "";
  return (
    <Notice kind="warn">
      {count === 0
        ? "Not all workers that may exist have answered. There may be more."
        : `${count} ${count === 1 ? "worker has" : "workers have"} not answered${names}. There may be more than is shown.`}
    </Notice>
  );
}
