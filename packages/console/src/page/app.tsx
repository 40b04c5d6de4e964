import { useEffect } from "preact/hooks";
import { ConnectionsTab } from "./connections/connections-tab.tsx";
import { OverviewTab } from "./overview/overview-tab.tsx";
import { SignIn } from "./sign-in.tsx";
import { useConsole } from "./store/console.ts";
import { routeHash, type Tab, tabs } from "./store/route.ts";
import { TopicsTab } from "./topics/topics-tab.tsx";
import { TraceTab } from "./trace/trace-tab.tsx";
import type { TrySession } from "./try/try-session.ts";
import { TryTab } from "./try/try-tab.tsx";
import { UsersTab } from "./users/users-tab.tsx";

const TITLES: Readonly<Record<Tab, string>> = {
  try: "Try",
  overview: "Overview",
  connections: "Connections",
  users: "Users",
  topics: "Topics",
  trace: "Trace",
};

/** The page: its head, and the tab that the address names. */
export function App({ client }: { readonly client: TrySession }) {
  const { router } = useConsole();
  const { tab } = router.route.value;
  useEffect(() => {
    document.title = `${TITLES[tab]} · Fanwire console`;
  }, [tab]);
  return (
    <>
      <header class="top">
        <button type="button" class="skip" onClick={focusMain}>
          Skip to the content
        </button>
        <h1>
          Fanwire <small>console</small>
        </h1>
        <nav aria-label="Tabs">
          {tabs.map((each) => (
            <a key={each} href={routeHash(each)} aria-current={each === tab ? "page" : undefined}>
              {TITLES[each]}
            </a>
          ))}
        </nav>
        <SessionState />
      </header>
      <main id="main" tabIndex={-1}>
        <CurrentTab tab={tab} client={client} />
      </main>
    </>
  );
}

/** Trying needs no key, because clients connect to a pusher. */
function CurrentTab({ tab, client }: { readonly tab: Tab; readonly client: TrySession }) {
  const { session } = useConsole();
  if (tab === "try") return <TryTab client={client} />;
  if (!session.isSignedIn.value) return <SignIn />;
  switch (tab) {
    case "overview":
      return <OverviewTab />;
    case "connections":
      return <ConnectionsTab />;
    case "users":
      return <UsersTab />;
    case "topics":
      return <TopicsTab />;
    case "trace":
      return <TraceTab />;
  }
}

function SessionState() {
  const { session } = useConsole();
  const current = session.current.value;
  return (
    <div class="session">
      <a href="docs">HTTP API</a>
      {current.state === "signed-in" && current.scope === "read" && <span class="badge">read-only key</span>}
      {current.state === "signed-in" && current.scope !== "open" && (
        <button type="button" class="small" onClick={() => session.signOut()}>
          Sign out
        </button>
      )}
    </div>
  );
}

function focusMain(): void {
  document.getElementById("main")?.focus();
}
