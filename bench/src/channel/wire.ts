/** Frames of Workerman Channel peers, implemented independently of the server. */

const CHANNEL = "bench";
const READY = "ready";
/** Length of {@link encodeContent} in bytes. */
const CONTENT_BYTES = 100;

const eventHead = `a:3:{s:4:"type";s:5:"event";s:7:"channel";s:5:"${CHANNEL}";s:4:"data";s:${CONTENT_BYTES}:"`;
const tail = '";}';

/** Offset of the content in the frame of an event, and length of that frame. */
export const contentOffset = 4 + eventHead.length;
export const eventBytes = contentOffset + CONTENT_BYTES + tail.length;

export const subscribeFrame = frame(
  `a:2:{s:4:"type";s:9:"subscribe";s:8:"channels";a:2:{i:0;s:5:"${CHANNEL}";i:1;s:5:"${READY}";}}`,
);
/** Makes the server send a frame that is no event of the bench to all present subscribers. */
export const readyFrame = frame(publishHead(READY, "N;"));

export function publishFrame(content: Buffer): Buffer {
  return frame(publishHead(CHANNEL, `s:${CONTENT_BYTES}:"${content.toString("latin1")}";`));
}

export function eventFrame(content: Buffer): Buffer {
  return frame(`${eventHead}${content.toString("latin1")}${tail}`);
}

function publishHead(channel: string, data: string): string {
  return `a:3:{s:4:"type";s:7:"publish";s:8:"channels";a:1:{i:0;s:${channel.length}:"${channel}";}s:4:"data";${data}}`;
}

function frame(payload: string): Buffer {
  const bytes = Buffer.alloc(4 + payload.length);
  bytes.writeUInt32BE(bytes.length);
  bytes.write(payload, 4, "latin1");
  return bytes;
}
