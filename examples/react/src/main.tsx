import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import { FanwireProvider } from "./fanwire";

const url = import.meta.env.VITE_FANWIRE_URL ?? "ws://localhost:4236";

createRoot(document.querySelector("#root") as HTMLElement).render(
  <StrictMode>
    <FanwireProvider url={url}>
      <App />
    </FanwireProvider>
  </StrictMode>,
);
