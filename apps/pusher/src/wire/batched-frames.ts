/** Defines how messages share frames. */
export type Batching = {
  readonly separator: string;
  /** Maximum bytes of the messages in a frame. A larger message has a separate frame. */
  readonly maxBytes: number;
};

/**
 * Batches messages in frames, in order. Encodes all of them into one buffer, because uWebSockets.js asks V8 for the
 * memory of each frame. The memory of the last frame is then in the processor's cache.
 */
export function toFrames(messages: readonly string[], { separator, maxBytes }: Batching): Uint8Array[] {
  const text = messages.join(separator);
  const bytes = Buffer.from(text);
  const isAscii = bytes.length === text.length;
  const frames: Uint8Array[] = [];
  let start = 0;
  let end = 0;
  for (const message of messages) {
    const messageBytes = isAscii ? message.length : Buffer.byteLength(message);
    const isFirst = end === start;
    const nextEnd = end + (isFirst ? 0 : separator.length) + messageBytes;
    if (isFirst || nextEnd - start <= maxBytes) {
      end = nextEnd;
      continue;
    }
    frames.push(bytes.subarray(start, end));
    start = end + separator.length;
    end = start + messageBytes;
  }
  if (end > start) frames.push(bytes.subarray(start, end));
  return frames;
}
