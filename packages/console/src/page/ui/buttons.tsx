import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

const SHOWN_MS = 2_000;

/** Copies text, and shows for a moment that it did. */
export function CopyButton({ label, text }: { readonly label: string; readonly text: () => string }) {
  const [outcome, setOutcome] = useState<string>();
  useEffect(() => {
    if (outcome === undefined) return undefined;
    const timer = setTimeout(() => setOutcome(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [outcome]);
  const copy = async () => {
    // Only pages of a secure context have a clipboard.
    await navigator.clipboard?.writeText(text());
    setOutcome(navigator.clipboard === undefined ? "No clipboard" : "Copied");
  };
  return (
    <button type="button" class="small" onClick={() => void copy().catch(() => setOutcome("Not allowed"))}>
      <span aria-live="polite">{outcome ?? label}</span>
    </button>
  );
}

type ConfirmButtonProps = {
  readonly label: ComponentChildren;
  /** Name of the act for the second press. */
  readonly question: string;
  onConfirm(): void;
};

/** A button for an act that cannot be undone: the second press carries it out. */
export function ConfirmButton({ label, question, onConfirm }: ConfirmButtonProps) {
  const [isAsking, setAsking] = useState(false);
  if (!isAsking) {
    return (
      <button type="button" class="danger" onClick={() => setAsking(true)}>
        {label}
      </button>
    );
  }
  const answer = (isConfirmed: boolean) => {
    setAsking(false);
    if (isConfirmed) onConfirm();
  };
  return (
    <span class="buttons">
      <button type="button" class="danger sure" ref={(button) => button?.focus()} onClick={() => answer(true)}>
        {question}
      </button>
      <button type="button" onClick={() => answer(false)}>
        Cancel
      </button>
    </span>
  );
}
