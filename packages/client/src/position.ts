/** Whether `position` lies behind `other` in the history. In another life of the history everything does. */
export function isAfter(position: string, other: string): boolean {
  const [epoch, sequence] = split(position);
  const [otherEpoch, otherSequence] = split(other);
  return epoch !== otherEpoch || sequence > otherSequence;
}

function split(position: string): [epoch: string, sequence: number] {
  const dash = position.lastIndexOf("-");
  return [position.slice(0, dash), Number(position.slice(dash + 1))];
}
