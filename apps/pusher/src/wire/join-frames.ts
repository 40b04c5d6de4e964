/** Defines how messages are joined to frames. */
export type Joining = {
  readonly separator: string;
  /** Maximum bytes of joined messages. A larger message is a frame of its own. */
  readonly maxBytes: number;
};

/**
 * Joins messages to frames, in order. Encodes all of them into one buffer, because uWebSockets.js asks V8 for the memory of each frame
 * that it sends, and the memory of the last frame is in the processor's cache.
 */
export function joinToFrames(messages: readonly string[], { separator, maxBytes }: Joining): Uint8Array[] {
  const text = messages.join(separator);
  const bytes = Buffer.from(text);
  const isAscii = bytes.length === text.length;
  const frames: Uint8Array[] = [];
  let start = 0;
  let end = 0;
  for (const message of messages) {
    const messageBytes = isAscii ? message.length : Buffer.byteLength(message);
    const isFirst = end === start;
    const joinedEnd = end + (isFirst ? 0 : separator.length) + messageBytes;
    if (isFirst || joinedEnd - start <= maxBytes) {
      end = joinedEnd;
      continue;
    }
    frames.push(bytes.subarray(start, end));
    start = end + separator.length;
    end = start + messageBytes;
  }
  if (end > start) frames.push(bytes.subarray(start, end));
  return frames;
}
