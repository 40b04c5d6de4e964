import { type Client, connect } from "@fanwire/client";
import { button, element, field } from "./elements.ts";
import { MembersView } from "./members-view.ts";
import { showPublication } from "./publications-view.ts";
import { startPublishForm } from "./publish-form.ts";
import { SimulatedNetwork } from "./simulated-network.ts";
import { addLine, showPosition, showState } from "./state-view.ts";
import { TopicsView } from "./topics-view.ts";

const url = field("pusher-url");
const token = field("token");
const cut = button("cut");
const disconnect = button("disconnect");

const topics = new TopicsView(["news"]);
const members = new MembersView();
const network = new SimulatedNetwork();
let client: Client | undefined;

url.value = new URLSearchParams(location.search).get("pusher") ?? defaultPusher();
startPublishForm(() => client?.address);

element("connect-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    start();
  } catch (error) {
    addLine("refused", String(error));
  }
});
disconnect.addEventListener("click", () => client?.close());
cut.addEventListener("click", () => {
  if (network.isCut) {
    addLine("restored", "");
    network.restore();
  } else {
    addLine("cut", "disconnected until it is restored");
    network.cut();
  }
  cut.textContent = network.isCut ? "Restore the network" : "Cut the network";
});

function start(): void {
  client?.close();
  client = connect({
    url: url.value,
    topics: topics.names(),
    token: token.value || undefined,
    WebSocket: network.WebSocket,
    onPublication: (publication) => {
      showPublication(publication);
      if (client?.position) showPosition(client.position);
    },
    onState: (state) => {
      showState(state);
      const isOver = state.state === "closed";
      cut.disabled = isOver && !network.isCut;
      disconnect.disabled = isOver;
    },
    onRefused: (name, error) => topics.refused(name, error),
  });
  topics.use(client);
  members.use(client);
}

/** Returns the default address of a pusher on this machine. */
function defaultPusher(): string {
  return `${location.protocol.replace("http", "ws")}//${location.hostname}:4236/`;
}
