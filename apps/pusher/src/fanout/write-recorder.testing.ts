/**
 * Returns a connection that records each write as the list of its frames. It takes `takes` frames and is then over its
 * limit, after which nothing may be sent to it.
 */
export function noteWrites(takes = Number.POSITIVE_INFINITY) {
  const writes: string[][] = [];
  let isCorked = false;
  let isOver = false;
  return {
    writes,
    send: (frame: string | Uint8Array, isBinary?: boolean) => {
      if (isOver) writes.push(["sent over the limit"]);
      isOver ||= writes.flat().length >= takes;
      if (isOver) return 2;
      if (!isCorked) writes.push([]);
      writes.at(-1)?.push(isBinary ? "binary" : frame.toString());
      return 1;
    },
    getBufferedAmount: () => 0,
    cork: (writing: () => void) => {
      writes.push([]);
      isCorked = true;
      writing();
      isCorked = false;
    },
  };
}
