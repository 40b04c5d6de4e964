import type { Subjects } from "@fanwire/protocol";
import type { ReadRequest, StoredPublication } from "./history.ts";
import type { StoredMessage } from "./leader-messages.ts";
import type { RangeMessage } from "./range-consumer.ts";

const DEFAULT_LIMIT = 500;
const DEFAULT_MAX_BYTES = 4 * 1_048_576;
const NO_CONTENT = new Uint8Array();

/** Gathers publications in order until it is full. */
export class Page {
  readonly publications: StoredPublication[] = [];
  readonly #subjects: Subjects;
  readonly #limit: number;
  readonly #maxBytes: number;
  readonly #withoutContent: boolean;
  #through: number;
  #bytes = 0;

  constructor(request: ReadRequest, subjects: Subjects) {
    const { after, limit = DEFAULT_LIMIT, maxBytes = DEFAULT_MAX_BYTES, withoutContent = false } = request;
    this.#subjects = subjects;
    this.#withoutContent = withoutContent;
    this.#limit = limit;
    this.#maxBytes = maxBytes;
    this.#through = after;
  }

  /** Sequence of the last message taken. */
  get through(): number {
    return this.#through;
  }

  /** Number of publications that still fit. */
  get room(): number {
    return this.#limit - this.publications.length;
  }

  get roomBytes(): number {
    return this.#maxBytes - this.#bytes;
  }

  get isFull(): boolean {
    return this.room <= 0 || this.roomBytes <= 0;
  }

  addStored(message: StoredMessage): void {
    this.#through = message.sequence;
    this.#add(fromStored(message, this.#subjects));
  }

  addDelivered(message: RangeMessage): void {
    this.#through = message.sequence;
    this.#add(fromDelivered(message, this.#subjects));
  }

  #add(publication: StoredPublication | undefined): void {
    if (publication === undefined) return;
    const kept = this.#withoutContent ? { ...publication, content: NO_CONTENT } : publication;
    this.publications.push(kept);
    this.#bytes += kept.content.length + (kept.headers?.bytes ?? 0);
  }
}

/**
 * Converts a message of the leader. Returns `undefined` if its subject names no target; such messages are not delivered
 * live either.
 */
export function fromStored(message: StoredMessage, subjects: Subjects): StoredPublication | undefined {
  const target = subjects.parseHistory(message.subject);
  return target && { ...message, target };
}

/** Converts a message of a consumer, like {@link fromStored}. */
function fromDelivered({ sequence, message, time }: RangeMessage, subjects: Subjects): StoredPublication | undefined {
  const { subject, data: content, headers } = message;
  const target = subjects.parseHistory(subject);
  return target && { sequence, subject, target, content, headers, time };
}
