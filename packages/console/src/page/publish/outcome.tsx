import type { ApiResult } from "../api/client.ts";
import type { PublicationStatus, Receipt } from "../api/types.ts";
import { count } from "../ui/format.ts";

/** Shows the answer to a publication. Screen readers announce it. */
export function Outcome({ answer }: { readonly answer: ApiResult<PublicationStatus> | undefined }) {
  return (
    <output class="outcome" data-outcome={answer === undefined ? undefined : answer.ok ? "ok" : "failed"}>
      {answer !== undefined && (answer.ok ? <Status status={answer.value} /> : failureText(answer))}
    </output>
  );
}

function failureText({ status, message }: { readonly status: number | undefined; readonly message: string }): string {
  return status === undefined ? message : `${status} ${message}`;
}

function Status({ status: { status, position, duplicate, receipt } }: { readonly status: PublicationStatus }) {
  return (
    <>
      <b>{status}</b>
      {position !== undefined && (
        <>
          {" at "}
          <code>{position}</code>
        </>
      )}
      {duplicate && " (duplicate: nothing was published)"}
      {receipt !== undefined && <ReceiptLine receipt={receipt} />}
    </>
  );
}

function ReceiptLine({ receipt: { delivered, buffered, workers, missing, complete } }: { readonly receipt: Receipt }) {
  return (
    <span class="receipt">
      {count(delivered)} delivered, {count(buffered)} buffered, counted by {count(workers)}{" "}
      {workers === 1 ? "worker" : "workers"}
      {missing > 0 && `, ${count(missing)} missing`}.{" "}
      <span class={complete ? "badge good" : "badge warn"}>{complete ? "complete" : "incomplete: may be more"}</span>
    </span>
  );
}
