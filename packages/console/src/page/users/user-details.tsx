import type { Connection, User } from "../api/types.ts";
import { connectionColumns } from "../connections/columns.tsx";
import { PublishForm } from "../publish/publish-form.tsx";
import { useConsole } from "../store/console.ts";
import { routeHash } from "../store/route.ts";
import { useAction } from "../store/use-action.ts";
import { useList } from "../store/use-list.ts";
import { ConfirmButton } from "../ui/buttons.tsx";
import { Details, OutcomeNotice } from "../ui/details.tsx";
import { ListPanel } from "../ui/list-panel.tsx";
import { Panel } from "../ui/panel.tsx";
import { UserTopics } from "./user-topics.tsx";

type UserDetailsProps = { readonly user: string; onChange(): void };

const QUERY = { limit: 50 };
const COLUMNS = connectionColumns().filter(({ head }) => head !== "User");
const read = ({ connections, count }: User) => ({ rows: connections, total: count });

export function UserDetails({ user, onChange }: UserDetailsProps) {
  const { session } = useConsole();
  const path = `v1/users/${encodeURIComponent(user)}`;
  const list = useList<Connection>(path, read, QUERY);
  const [act, outcome] = useAction(() => {
    void list.load();
    onChange();
  });
  const mayWrite = session.mayWrite.value;
  return (
    <Details label={`User ${user}`}>
      <Panel title={user} aside={<a href={routeHash("trace", undefined, { user })}>Trace</a>}>
        <OutcomeNotice outcome={outcome} />
        {mayWrite ? (
          <p class="acts">
            <ConfirmButton
              label="Disconnect all"
              question="Disconnect all now"
              onConfirm={() => void act({ method: "DELETE", path: `${path}/connections`, done: "Closed." })}
            />
          </p>
        ) : (
          <p class="hint">This key may read only.</p>
        )}
      </Panel>
      <ListPanel
        title="Connections of the user"
        list={list}
        columns={COLUMNS}
        keyOf={({ address }) => address}
        empty="The user has no open connection."
      />
      {mayWrite && <UserTopics path={path} act={act} />}
      <Panel title="Publish to this user">
        <PublishForm target={{ kind: "user", name: user }} />
      </Panel>
    </Details>
  );
}
