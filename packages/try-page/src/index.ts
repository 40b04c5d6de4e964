import { type Client, connect } from "@fanwire/client";
import { button, element, field } from "./elements.ts";
import { Line } from "./line.ts";
import { showPublication } from "./publications-view.ts";
import { startPublishForm } from "./publish-form.ts";
import { addToHistory, showPosition, showState } from "./state-view.ts";
import { TopicsView } from "./topics-view.ts";

const url = field("pusher-url");
const token = field("token");
const cut = button("cut");
const disconnect = button("disconnect");

const topics = new TopicsView(["news"]);
const line = new Line();
let client: Client | undefined;

url.value = new URLSearchParams(location.search).get("pusher") ?? guessedPusher();
startPublishForm(() => client?.address);

element("connect-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    start();
  } catch (error) {
    addToHistory("refused", String(error));
  }
});
disconnect.addEventListener("click", () => client?.close());
cut.addEventListener("click", () => {
  if (line.isCut) {
    addToHistory("mended", "");
    line.mend();
  } else {
    addToHistory("cut", "nothing passes until it is mended");
    line.cut();
  }
  cut.textContent = line.isCut ? "Mend the line" : "Cut the line";
});

function start(): void {
  client?.close();
  client = connect({
    url: url.value,
    topics: topics.names(),
    token: token.value || undefined,
    WebSocket: line.WebSocket,
    onPublication: (publication) => {
      showPublication(publication);
      if (client?.position) showPosition(client.position);
    },
    onState: (state) => {
      showState(state);
      const isOver = state.state === "closed";
      cut.disabled = isOver && !line.isCut;
      disconnect.disabled = isOver;
    },
    onRefused: (name, error) => topics.refused(name, error),
  });
  topics.use(client);
}

/** Returns the URL of a pusher on this machine with its default port. */
function guessedPusher(): string {
  return `${location.protocol.replace("http", "ws")}//${location.hostname}:4236/`;
}
