/** `SUB` or `UNSUB`, one line of the NATS protocol without its end. */
export type Command = `SUB ${string}` | `UNSUB ${number}`;

/** Without headers. The subject has no white space. */
export type PlainPublication = { readonly subject: string; readonly content: Uint8Array };

const LINE_END = "\r\n";
const NOTHING = new Uint8Array();

/**
 * Commands and publications as NATS reads them, in one piece. The client's own way makes a string, three buffers and a check
 * of each, which is most of what a publication of a batch costs.
 */
export function encodeProtocol(items: readonly (Command | PlainPublication)[]): Buffer {
  const lines = items.map((item) =>
    typeof item === "string" ? item : `PUB ${item.subject} ${item.content.length}${LINE_END}`,
  );
  const contents = items.map((item) => (typeof item === "string" ? NOTHING : item.content));
  const length =
    lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0) +
    contents.reduce((sum, content) => sum + content.length + LINE_END.length, 0);

  const encoded = Buffer.allocUnsafe(length);
  let at = 0;
  for (const [index, line] of lines.entries()) {
    at += encoded.write(line, at);
    const content = contents[index] ?? NOTHING;
    encoded.set(content, at);
    at += content.length;
    at += encoded.write(LINE_END, at, "latin1");
  }
  return encoded;
}
