import fc from "fast-check";
import type { PublicationText } from "./publication.ts";

/** A text publication without optional members. */
export const plainPublication: PublicationText = {
  data: "hi",
  isBinary: false,
  event: undefined,
  id: undefined,
  position: undefined,
  topic: undefined,
  subscription: undefined,
};

/** Contains everything that ends lines, headers, events and strings in the formats. */
export const hostileText = fc
  .array(
    fc.constantFrom("a", "ж", "😀", "\r", "\n", "\r\n", "\0", '"', "\\", ":", " ", "\u2028", "\ud800", "data: x"),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(""));
