type Parts = { readonly epoch: string; readonly sequence: number; readonly copy: string };

/**
 * Whether `position` lies after `other` in the history. A position of another epoch always does. Copies of one
 * publication, except the last, have positions between the previous publication and it.
 */
export function isAfter(position: string, other: string): boolean {
  const one = split(position);
  const two = split(other);
  if (one.epoch !== two.epoch || one.sequence !== two.sequence)
    return one.epoch !== two.epoch || one.sequence > two.sequence;
  return one.copy > two.copy;
}

/** Whether the publication at `position` is later than the one at `other`. */
export function isLater(position: string, other: string): boolean {
  const one = split(position);
  const two = split(other);
  return one.epoch !== two.epoch || publicationOf(one) > publicationOf(two);
}

function publicationOf({ sequence, copy }: Parts): number {
  return copy === "" ? sequence : sequence + 1;
}

function split(position: string): Parts {
  const dash = position.lastIndexOf("-");
  const [sequence, copy = ""] = position.slice(dash + 1).split(".");
  return { epoch: position.slice(0, dash), sequence: Number(sequence), copy };
}
