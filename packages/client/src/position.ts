type Parts = { readonly epoch: string; readonly sequence: number; readonly copy: string };

/**
 * Whether `position` lies behind `other` in the history. In another life of the history everything does. The copies of one
 * publication but the last have positions between the publication before and it.
 */
export function isAfter(position: string, other: string): boolean {
  const one = split(position);
  const two = split(other);
  if (one.epoch !== two.epoch || one.sequence !== two.sequence)
    return one.epoch !== two.epoch || one.sequence > two.sequence;
  return one.copy > two.copy;
}

/** Whether `position` is that of a later publication than `other`. */
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
