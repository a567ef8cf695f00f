// Author: one task. What it shows moves as the node tells it.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { open, post, query } from "../api";
import { Curve, PHASES, phaseName } from "../charts";
import { Graphs } from "../graph";
import { clock, number, seconds, t } from "../i18n";
import { go, told, useAnswer, useEvents, useNow } from "../state";
import type { LogLine, Network, Progress, Report, Scope, Task, TaskPage } from "../types";
import { Answered, Badge, Card, Empty, Facts, Fault, Id, Page, StatusBadge, Sure, Tabs, Time } from "../ui";
import { Result } from "./result";
import { Members, Rounds } from "./rounds";

const LINES = 2000;

export type Name = (address: string) => string;

/** Names of nodes by their addresses. */
export function useNames(allowed: boolean): Name {
  const network = useAnswer<Network>(allowed ? "/v1/board/network" : null);
  const names = new Map(network.value?.nodes.map((node) => [node.address.toLowerCase(), node.name]));
  return (address) => names.get(address.toLowerCase()) || `${address.slice(0, 8)}…${address.slice(-4)}`;
}

export function TaskView(props: { id: number; scopes: Scope[] }) {
  const answer = useAnswer<TaskPage>(query("/v1/board/task", { task_id: props.id }));
  const [fresh, update] = useState<{ task: Task; progress: Progress } | null>(null);
  const [lines, write] = useState<LogLine[]>([]);
  const [tab, choose] = useState("progress");
  const [fault, blame] = useState<string | null>(null);
  const name = useNames(props.scopes.includes("read"));
  const history = useRef<Report[]>([]);
  const log = useRef(0);
  const heard = useCallback((event: string, data: unknown) => {
    if (event === "progress") {
      const news = data as { task: Task; start: number; progress: Progress };
      history.current = [...history.current.slice(0, news.start), ...news.progress.history];
      update({ task: news.task, progress: { ...news.progress, history: history.current } });
    } else if (event === "logs") {
      const more = data as LogLine[];
      log.current = (more.at(-1)?.id ?? 0) + 1;
      write((had) => [...had, ...more].slice(-LINES));
    }
  }, []);
  useEvents(heard, () => ({ task_id: props.id, round: history.current.length, log: log.current }), String(props.id));
  const act = (path: string, then: (done: { task_id?: number }) => void) =>
    post<{ task_id?: number }>(path, { task_id: props.id }).then(then, (error) => blame(told(error)));
  const page = answer.value;
  const task = fresh?.task ?? page;
  const progress = fresh?.progress ?? page?.progress;
  const over = task ? !["PENDING", "RUNNING"].includes(task.status) : true;
  const may = (scope: Scope) => props.scopes.includes(scope);
  const title = task?.name || t("Task {n}", { n: props.id });
  return (
    <Page
      title={title}
      side={
        <>
          {task && <StatusBadge status={task.status} error={progress?.error ?? null} />}
          {task && !over && may("submit") && (
            <Sure
              label={t("Cancel the task")}
              question={t("Cancel it for good?")}
              act={() => act("/v1/task/cancel", answer.again)}
            />
          )}
          {task && over && may("submit") && (
            <button type="button" onClick={() => act("/v1/task/again", (done) => go(`/tasks/${done.task_id}`))}>
              {t("Run it again")}
            </button>
          )}
        </>
      }
    >
      <p class="crumb">
        <a href="#/tasks">{t("Tasks")}</a> / {t("Task {n}", { n: props.id })}
      </p>
      {fault && <Fault text={fault} />}
      <Answered of={answer} waits={t("The node reads the task.")}>
        {(page) => (
          <Tabs
            label={t("About the task")}
            chosen={tab}
            choose={choose}
            tabs={[
              {
                id: "progress",
                name: t("Progress"),
                page: () => progress && <ProgressTab page={page} progress={progress} over={over} name={name} />,
              },
              {
                id: "rounds",
                name: t("Rounds"),
                page: () => progress && <Rounds history={progress.history} name={name} />,
              },
              { id: "log", name: t("Log"), page: () => <Log lines={lines} over={over} /> },
              { id: "asks", name: t("What it asks"), page: () => <Asks page={page} id={props.id} /> },
              {
                id: "result",
                name: t("Result"),
                page: () => (
                  <Result id={props.id} status={task?.status ?? page.status} may={may("result")} page={page} />
                ),
              },
            ]}
          />
        )}
      </Answered>
    </Page>
  );
}

function ProgressTab(props: { page: TaskPage; progress: Progress; over: boolean; name: Name }) {
  const { page, progress, over } = props;
  const done = progress.history.filter((report) => report.error === null);
  const names = [...new Set(done.flatMap((report) => Object.keys(report.metrics)))];
  return (
    <>
      {progress.error && <Fault text={progress.error} />}
      <Card title={over ? t("How it went") : t("Now")}>
        {!over && <Phases progress={progress} name={props.name} />}
        <Facts
          of={[
            [t("Rounds"), t("{done} of {all}", { done: number(progress.round), all: number(progress.rounds) })],
            [t("Submitted"), <Time at={page.created_at} both />],
            [t("Author"), page.author ?? t("from this machine")],
            [t("Time in rounds"), seconds(progress.history.reduce((sum, r) => sum + r.seconds, 0))],
            [t("Id on record"), page.task_id ? <Id of={page.task_id} /> : t("not on record yet")],
          ]}
        />
      </Card>
      {names.length > 0 && (
        <Card title={t("Curves")}>
          <div class="curves">
            {names.map((metric) => (
              <Curve
                key={metric}
                name={metric}
                rounds={progress.rounds}
                points={done
                  .filter((report) => metric in report.metrics)
                  .map((report) => ({
                    x: report.round,
                    y: report.metrics[metric] ?? Number.NaN,
                    lost: report.dropped > 0,
                  }))}
              />
            ))}
          </div>
        </Card>
      )}
      <Members progress={progress} name={props.name} />
    </>
  );
}

/** The phases of the round under way, what is waited for and until when. */
function Phases(props: { progress: Progress; name: Name }) {
  const { progress } = props;
  const now = useNow(500);
  const at = PHASES.indexOf(progress.phase);
  const over = new Map(progress.phases.map((span) => [span.phase, span.seconds]));
  const waits = progress.waits_for && awaited(progress.waits_for, props.name);
  return (
    <>
      <ol class="phases" aria-label={t("Phases of round {n}", { n: progress.number })}>
        {PHASES.map((phase, i) => (
          <li key={phase} class={i < at ? "done" : i === at ? "now" : ""} aria-current={i === at ? "step" : undefined}>
            <span class="what">{phaseName(phase)}</span>
            <span class="quiet">
              {i === at && progress.since ? seconds(Math.max(0, now - progress.since) / 1000) : ""}
              {i < at && over.has(phase) ? seconds(over.get(phase) ?? 0) : ""}
            </span>
          </li>
        ))}
      </ol>
      <p class="waits" role="status">
        {waits ? (
          <>
            {t("Waits for {whom}", { whom: waits })}
            {progress.until && (
              <>
                {" "}
                {t("until {time}", { time: clock(progress.until) })}
                {progress.until > now && ` (${t("{time} left", { time: seconds((progress.until - now) / 1000) })})`}
              </>
            )}
            .
          </>
        ) : at < 0 ? (
          phaseName(progress.phase)
        ) : (
          t("Nobody is waited for.")
        )}
        {progress.asks_owner.length > 0 && (
          <>
            {" "}
            <Badge tone="warn">
              {t("asked first: the owners of {names}", { names: progress.asks_owner.map(props.name).join(", ") })}
            </Badge>
          </>
        )}
      </p>
    </>
  );
}

/** The node's words on what is waited for, with names in place of addresses. */
function awaited(words: string, name: Name): string {
  const named = words.replace(/0x[0-9a-fA-F]{40}/g, name);
  const owners = /^the owners of (.*)$/.exec(named);
  if (owners) return t("the owners of {names}", { names: owners[1] ?? "" });
  const connector = /^the connector since (.*) UTC$/.exec(named);
  if (connector) return t("the connector, away since {time} UTC", { time: connector[1] ?? "" });
  return /^[A-Z][A-Za-z]+ of (.*)$/.exec(named)?.[1] ?? named;
}

function Log(props: { lines: LogLine[]; over: boolean }) {
  const end = useRef<HTMLDivElement>(null);
  const [follow, set] = useState(true);
  // Each line moves it.
  useEffect(() => {
    if (follow && end.current) end.current.scrollTop = end.current.scrollHeight;
  }, [props.lines.length, follow]);
  return (
    <Card
      title={t("Log")}
      side={
        <label>
          <input type="checkbox" checked={follow} onChange={(event) => set(event.currentTarget.checked)} />{" "}
          {t("follow new lines")}
        </label>
      }
    >
      {props.lines.length === 0 ? (
        <Empty title={props.over ? t("The log is empty.") : t("No line was written yet.")} />
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
        <div class="log mono" role="log" aria-label={t("Log")} tabIndex={0} ref={end}>
          {props.lines.map((line) => (
            <div key={line.id}>
              <span class="quiet">{clock(line.created_at)}</span> {line.message}
              {line.tx_hash && <span class="quiet"> tx {line.tx_hash.slice(0, 10)}…</span>}
            </div>
          ))}
        </div>
      )}
    </Card>
  );
}

function Asks(props: { page: TaskPage; id: number }) {
  const { page } = props;
  return (
    <>
      {page.unread && <Fault text={page.unread} />}
      {page.manifest?.description && (
        <Card title={t("Description")}>
          <p class="said">{page.manifest.description}</p>
        </Card>
      )}
      <Card title={t("What members are told")}>
        <Disclosure lines={page.disclosure} />
      </Card>
      {Object.keys(page.graphs).length > 0 && (
        <Card
          title={t("Graphs")}
          side={
            <Download
              path={query("/v1/task/bundle", { task_id: props.id })}
              name={`${props.id}.delta`}
              label={t("Download the bundle")}
            />
          }
        >
          <Graphs files={page.graphs} path={(file) => query("/v1/board/task/graph", { task_id: props.id, file })} />
        </Card>
      )}
    </>
  );
}

/** The node's own words on a task; lines that belong to the one above begin with spaces. */
export function Disclosure(props: { lines: string[] }) {
  const groups: { first: string; rest: string[] }[] = [];
  for (const line of props.lines) {
    if (line.startsWith("  ")) groups.at(-1)?.rest.push(line.trim());
    else groups.push({ first: line, rest: [] });
  }
  return (
    <ul class="disclosure" lang="en">
      {groups.map((group, i) => (
        <li key={i}>
          {group.first}
          {group.rest.length > 0 && (
            <ul>
              {group.rest.map((line, j) => (
                <li key={j}>{line}</li>
              ))}
            </ul>
          )}
        </li>
      ))}
    </ul>
  );
}

export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function Download(props: { path: string; name: string; label: string }) {
  const [fault, blame] = useState<string | null>(null);
  const [working, work] = useState(false);
  const fetchIt = async () => {
    work(true);
    blame(null);
    try {
      save(await (await open(props.path)).read(), props.name);
    } catch (error) {
      blame(told(error));
    }
    work(false);
  };
  return (
    <>
      {fault && <Fault text={fault} />}
      <button type="button" disabled={working} onClick={fetchIt}>
        {props.label}
      </button>
    </>
  );
}
