import { type Client, type ClientOptions, type ClientState, connect, type Publication } from "@fanwire/client";
import { createContext, type ReactNode, useContext, useEffect, useRef, useState } from "react";

type OnPublication = (publication: Publication) => void;

/** Adds a subscriber of a topic or pattern. Returns what removes it. */
type Subscribe = (topic: string, onPublication: OnPublication) => () => void;

const Fanwire = createContext<{ readonly state: ClientState; readonly subscribe: Subscribe } | undefined>(undefined);

/**
 * Holds one connection for all components below it. Another `url` opens another one; `token` is that of its first
 * render.
 */
export function FanwireProvider(props: Pick<ClientOptions, "url" | "token"> & { readonly children: ReactNode }) {
  const { url, children } = props;
  const token = useRef(props.token);
  const [state, setState] = useState<ClientState>({ state: "connecting" });
  const [subscribe, setSubscribe] = useState<Subscribe>();

  useEffect(() => {
    const topics = new TopicSubscribers();
    const client = connect({
      url,
      token: token.current,
      onState: setState,
      onPublication: (publication) => topics.receive(publication),
      onRefused: (topic, error) => console.error(`no subscription to ${topic}: ${error.message}`),
    });
    setSubscribe(() => topics.subscribeWith(client));
    return () => client.close();
  }, [url]);

  return <Fanwire value={subscribe && { state, subscribe }}>{subscribe && children}</Fanwire>;
}

/** Returns the state of the connection, and renders the component again when it changes. */
export function useConnectionState(): ClientState {
  return useFanwire().state;
}

/** Subscribes to a topic or pattern while the component is mounted. */
export function useTopic(topic: string, onPublication: OnPublication): void {
  const { subscribe } = useFanwire();
  // A callback that is created for each render must not subscribe again.
  const latest = useRef(onPublication);
  useEffect(() => {
    latest.current = onPublication;
  });
  useEffect(() => subscribe(topic, (publication) => latest.current(publication)), [subscribe, topic]);
}

function useFanwire() {
  const connection = useContext(Fanwire);
  if (connection === undefined) throw new Error("there is no FanwireProvider around this component");
  return connection;
}

/** The components that use each topic. The first one subscribes the client, and the last one unsubscribes it. */
class TopicSubscribers {
  readonly #topics = new Map<string, Set<OnPublication>>();

  receive(publication: Publication): void {
    const name = publication.subscription ?? publication.topic ?? "";
    for (const onPublication of this.#topics.get(name) ?? []) onPublication(publication);
  }

  subscribeWith(client: Client): Subscribe {
    return (topic, onPublication) => {
      const isFirst = !this.#topics.has(topic);
      const subscribers = this.#topics.get(topic) ?? new Set();
      this.#topics.set(topic, subscribers.add(onPublication));
      // `onRefused` receives the reason.
      if (isFirst) client.subscribe(topic).catch(() => {});
      return () => {
        subscribers.delete(onPublication);
        if (subscribers.size > 0) return;
        this.#topics.delete(topic);
        client.unsubscribe(topic).catch(() => {});
      };
    };
  }
}
