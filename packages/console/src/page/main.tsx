import { effect } from "@preact/signals";
import { render } from "preact";
import { App } from "./app.tsx";
import { ClusterRecorder } from "./store/cluster-recorder.ts";
import { ConsoleContext } from "./store/console.ts";
import { Router } from "./store/route.ts";
import { Session } from "./store/session.ts";
import { TrySession } from "./try/try-session.ts";

const root = document.getElementById("console");
if (root === null) throw new Error("the page has no #console");

const session = new Session({ needsKey: root.dataset.keys === "required" });
const router = new Router();
const recorder = new ClusterRecorder(session.api);
const client = new TrySession(new URLSearchParams(location.search).get("pusher") ?? defaultPusher());

effect(() => {
  if (!session.isSignedIn.value) recorder.stop();
});
client.connect();
render(
  <ConsoleContext.Provider value={{ session, router, recorder }}>
    <App client={client} />
  </ConsoleContext.Provider>,
  root,
);

/** Returns the default address of a pusher on the machine that serves the page. */
function defaultPusher(): string {
  return `${location.protocol.replace("http", "ws")}//${location.hostname}:4236/`;
}
