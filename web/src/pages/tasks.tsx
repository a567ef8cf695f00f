// Author: the tasks of this node, and a new one.

import { useEffect, useRef, useState } from "preact/hooks";
import { get, query, submit } from "../api";
import { counted, number, t } from "../i18n";
import { go, told, useAnswer, useEvents, useThrottled } from "../state";
import type { FoundTask, Matches, Scope, Status } from "../types";
import { Answered, Badge, Empty, Fault, Page, StatusBadge, statusOf, Table, Time } from "../ui";

const STATUSES: Status[] = ["PENDING", "RUNNING", "FINISHED", "ERROR"];
const AT_ONCE = 50;

export function Tasks(props: { scopes: Scope[] }) {
  const [text, type] = useState("");
  const [sought, seek] = useState("");
  const [status, choose] = useState<Status | "">("");
  const [more, add] = useState<FoundTask[]>([]);
  const [fault, blame] = useState<string | null>(null);
  const path = query("/v1/board/tasks", { text: sought, status: wanted(status), limit: AT_ONCE });
  const answer = useAnswer<Matches>(path);
  const again = useThrottled(answer.again, 1000);
  useEvents((event) => {
    if (event === "tasks" || event === "again") again();
  });
  useEffect(() => {
    const timer = setTimeout(() => seek(text.trim()), 200);
    return () => clearTimeout(timer);
  }, [text]);
  // Another search begins at its beginning.
  useEffect(() => add([]), [path]);
  const earlier = (before: number) => {
    get<Matches>(query("/v1/board/tasks", { text: sought, status: wanted(status), limit: AT_ONCE, before })).then(
      (found) => add((had) => [...had, ...found.tasks]),
      (error) => blame(told(error)),
    );
  };
  const counts = new Map(answer.value?.counts.map((c) => [c.status, c.count]));
  const total = [...counts.values()].reduce((a, b) => a + b, 0);
  const rows = [...(answer.value?.tasks ?? []), ...more];
  const shown = new Map(rows.map((row) => [row.id, row]));
  const of = status === "" ? total : wanted(status).reduce((sum, s) => sum + (counts.get(s as Status) ?? 0), 0);
  return (
    <Page title={t("Tasks")} side={props.scopes.includes("submit") && <Submit />}>
      <div class="bar">
        <input
          type="search"
          placeholder={t("Name, author, or id")}
          aria-label={t("Look for tasks by name, author or id")}
          value={text}
          onInput={(event) => type(event.currentTarget.value)}
        />
        <fieldset class="choice">
          <legend class="unseen">{t("Only tasks that are")}</legend>
          <button type="button" aria-pressed={status === ""} onClick={() => choose("")}>
            {t("all")} <span class="count">{number(total)}</span>
          </button>
          {STATUSES.map((s) => (
            <button type="button" key={s} aria-pressed={status === s} onClick={() => choose(s)}>
              {statusOf(s).word}{" "}
              <span class="count">{number(wanted(s).reduce((sum, w) => sum + (counts.get(w as Status) ?? 0), 0))}</span>
            </button>
          ))}
        </fieldset>
      </div>
      {fault && <Fault text={fault} />}
      <Answered of={answer} waits={t("The node looks for the tasks.")}>
        {() =>
          shown.size === 0 ? (
            sought || status ? (
              <Empty title={t("No task is like that.")}>{t("Try a shorter text, or all tasks.")}</Empty>
            ) : (
              <Empty title={t("No task was submitted to this node yet.")}>
                {t(
                  "Tasks are written in Python and submitted with delta.DeltaNode, from the command line, or here as a file.",
                )}{" "}
                <code>delta-node task submit wages-means.delta</code>
              </Empty>
            )
          ) : (
            <>
              <Table
                caption={t("Tasks")}
                class="tasks"
                head={[t("No."), t("Name"), t("Status"), t("Type"), t("Author"), t("Submitted")]}
              >
                {[...shown.values()].map((task) => (
                  <tr key={task.id}>
                    <td class="num quiet">{task.id}</td>
                    <td>
                      <a href={`#/tasks/${task.id}`}>{task.name || t("(no name)")}</a>
                      {task.error && task.status === "ERROR" && <div class="quiet line">{task.error}</div>}
                    </td>
                    <td>
                      <StatusBadge status={task.status} error={task.error} />
                    </td>
                    <td class="quiet">{task.type}</td>
                    <td class="quiet">{task.author ?? "–"}</td>
                    <td class="quiet">
                      <Time at={task.created_at} />
                    </td>
                  </tr>
                ))}
              </Table>
              <p class="foot quiet">
                {t("{shown} of {total}", { shown: number(shown.size), total: number(of) })}{" "}
                {shown.size < of && (
                  <button type="button" onClick={() => earlier(Math.min(...shown.keys()))}>
                    {t("Show earlier ones")}
                  </button>
                )}
              </p>
            </>
          )
        }
      </Answered>
    </Page>
  );
}

/** The statuses behind one word of the filter. */
function wanted(status: Status | ""): string[] {
  return status === "FINISHED" ? ["FINISHED", "CONFIRMED"] : status ? [status] : [];
}

function Submit() {
  const input = useRef<HTMLInputElement>(null);
  const [state, set] = useState<{ working?: string; error?: string }>({});
  const send = (file: File | undefined) => {
    if (!file) return;
    set({ working: file.name });
    submit(file).then(
      ({ task_id }) => go(`/tasks/${task_id}`),
      (error) => set({ error: told(error) }),
    );
  };
  return (
    <div class="submit">
      {state.error && <Fault text={state.error} />}
      {state.working && <Badge tone="busy">{t("The node takes {name} and checks it.", { name: state.working })}</Badge>}
      <input
        type="file"
        class="unseen"
        accept=".delta"
        ref={input}
        tabIndex={-1}
        aria-label={t("A task's bundle, a file that ends with .delta")}
        onChange={(event) => {
          send(event.currentTarget.files?.[0]);
          event.currentTarget.value = "";
        }}
      />
      <button type="button" class="main" onClick={() => input.current?.click()}>
        {t("Submit a task…")}
      </button>
    </div>
  );
}

export function countRounds(n: number): string {
  return counted(n, "{n} round", "{n} rounds");
}
