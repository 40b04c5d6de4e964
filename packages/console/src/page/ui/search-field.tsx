import { useEffect, useState } from "preact/hooks";
import { TextField } from "./fields.tsx";

/** Typing is over after this pause. */
const PAUSE_MS = 300;

type SearchFieldProps = { readonly label: string; readonly value: string; onSearch(text: string): void };

/** A text that searches when typing is over. */
export function SearchField({ label, value, onSearch }: SearchFieldProps) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return undefined;
    const timer = setTimeout(() => onSearch(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text, value, onSearch]);
  return <TextField label={label} value={text} onInput={setText} />;
}
