import type { ApiClient, ApiResult } from "../api/client.ts";
import { curlOf } from "../api/curl.ts";
import type { PublicationStatus } from "../api/types.ts";

export type TargetKind = "topic" | "everyone" | "user" | "connection";

export type Draft = {
  readonly kind: TargetKind;
  readonly name: string;
  readonly event: string;
  readonly data: string;
  readonly isDurable: boolean;
  readonly hasReceipt: boolean;
};

/** A worker answers for a connection itself, so its publications are neither stored nor counted. */
export const isToConnection = ({ kind }: Pick<Draft, "kind">): boolean => kind === "connection";

function bodyOf(draft: Draft) {
  const { kind, name, event, data, isDurable, hasReceipt } = draft;
  return {
    target: { [kind]: kind === "everyone" ? true : name },
    ...(event !== "" && { event }),
    data,
    ...(isDurable && !isToConnection(draft) && { durable: true }),
    ...(hasReceipt && !isToConnection(draft) && { receipt: true }),
  };
}

export function publish(api: ApiClient, draft: Draft): Promise<ApiResult<PublicationStatus>> {
  return api.send<PublicationStatus>("POST", "v1/publications", { body: bodyOf(draft) });
}

export function curlOfDraft(draft: Draft, needsKey: boolean): string {
  const url = new URL("v1/publications", document.baseURI).href;
  return curlOf({ method: "POST", url, body: bodyOf(draft), needsKey });
}
