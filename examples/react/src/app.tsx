import type { Publication } from "@fanwire/client";
import { useRef, useState } from "react";
import { useConnectionState, useTopic } from "./fanwire";

export function App() {
  const connection = useConnectionState();
  const [isShown, setShown] = useState(true);
  return (
    <main>
      <h1>News</h1>
      <p role="status">{connection.state}</p>
      <button type="button" onClick={() => setShown(!isShown)}>
        {isShown ? "Hide" : "Show"}
      </button>
      {isShown && <News topic="news" />}
    </main>
  );
}

function News({ topic }: { topic: string }) {
  const count = useRef(0);
  const [items, setItems] = useState<{ key: number; publication: Publication }[]>([]);
  useTopic(topic, (publication) => {
    const item = { key: count.current++, publication };
    setItems((earlier) => [item, ...earlier].slice(0, 100));
  });
  return (
    <ul>
      {items.map(({ key, publication: { data, recovered } }) => (
        <li key={key}>{recovered ? `${data} (missed before)` : `${data}`}</li>
      ))}
    </ul>
  );
}
