import {
  type DurableTarget,
  formatConnectionAddress,
  headerNames,
  type Publication,
  type Subjects,
} from "@fanwire/protocol";

/** A publication as NATS receives it. */
export type OutgoingPublication = {
  readonly subject: string;
  readonly content: Uint8Array;
  readonly headers: readonly (readonly [name: string, value: string])[];
};

export function encodePublication(subjects: Subjects, publication: Publication): OutgoingPublication {
  return { subject: subjects.live(publication.target), ...encodeBody(publication) };
}

/** Encodes a publication for the history. */
export function encodeDurable(
  subjects: Subjects,
  publication: Publication & { readonly target: DurableTarget },
): OutgoingPublication {
  return { subject: subjects.history(publication.target), ...encodeBody(publication) };
}

function encodeBody({ content, event, id, receipt, except }: Publication): Omit<OutgoingPublication, "subject"> {
  const headers: [string, string][] = [];
  if (event !== undefined) headers.push([headerNames.event, event]);
  if (id !== undefined) headers.push([headerNames.id, id]);
  if (receipt !== undefined) headers.push([headerNames.receipt, receipt]);
  if (except !== undefined) headers.push([headerNames.except, formatConnectionAddress(except)]);
  return { content, headers };
}
