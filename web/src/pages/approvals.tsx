// Owner: what waits for the owner's word, and what was said.

import { useState } from "preact/hooks";
import { post, query } from "../api";
import { Graphs } from "../graph";
import { counted, epsilon, moment, seconds, t } from "../i18n";
import { told, useAnswer, useEvents, useNow, useThrottled } from "../state";
import type { Approvals, Asked, Prospect, Question } from "../types";
import { Answered, Badge, Budget, Card, Empty, Facts, Fault, Id, Page, Table } from "../ui";
import { Decisions } from "./decisions";
import { Disclosure } from "./task";
import { classOf, decisionOf } from "./words";

export function useApprovals() {
  const answer = useAnswer<Approvals>("/v1/approvals");
  const again = useThrottled(answer.again, 500);
  useEvents((event) => {
    if (event === "approvals" || event === "again") again();
  });
  return answer;
}

export function ApprovalsPage() {
  const answer = useApprovals();
  return (
    <Page title={t("Approvals")}>
      <Answered of={answer} waits={t("The node lists what waits for you.")}>
        {({ tasks, decisions }) => {
          const waiting = tasks.filter((task) => task.waits);
          const others = tasks.filter((task) => !task.waits);
          return (
            <>
              {waiting.length === 0 ? (
                <Card>
                  <Empty title={t("Nothing waits for you.")}>
                    {t(
                      "A task that asks for your data stands here until you allow or deny it. Rules in the configuration answer without asking.",
                    )}
                  </Empty>
                </Card>
              ) : (
                waiting.map((task) => <Waits key={task.task} task={task} />)
              )}
              {others.length > 0 && (
                <Card title={t("Tasks that do not wait")}>
                  <Table
                    caption={t("Tasks that do not wait")}
                    head={[t("Task"), t("Author"), t("Class"), t("Outcome"), t("By which rules")]}
                  >
                    {others.map((task) => (
                      <tr key={task.task}>
                        <td>
                          <a href={`#/approvals/${task.task}`}>{task.name}</a>
                        </td>
                        <td class="quiet">{task.author}</td>
                        <td>
                          <Badge tone={classOf(task.class).tone}>{classOf(task.class).word}</Badge>
                        </td>
                        <td>
                          <Badge tone={decisionOf(task.decision).tone}>{decisionOf(task.decision).word}</Badge>
                        </td>
                        <td class="quiet mono">{task.rules.join(", ")}</td>
                      </tr>
                    ))}
                  </Table>
                </Card>
              )}
              <Decisions decisions={decisions} again={answer.again} />
            </>
          );
        }}
      </Answered>
    </Page>
  );
}

function Waits(props: { task: Asked }) {
  const { task } = props;
  const now = useNow();
  return (
    <Card
      class="waits-card"
      title={<a href={`#/approvals/${task.task}`}>{task.name}</a>}
      side={
        <>
          <Badge tone={classOf(task.class).tone} title={classOf(task.class).means}>
            {classOf(task.class).word}
          </Badge>
          <span class="quiet" title={moment(task.until)}>
            {task.until > now
              ? t("waits for {time} more", { time: seconds((task.until - now) / 1000) })
              : t("its time is over")}
          </span>
        </>
      }
    >
      <Facts of={inShort(task)} />
      <p>
        <a class="button main" href={`#/approvals/${task.task}`}>
          {t("Look at it and decide")}
        </a>
      </p>
    </Card>
  );
}

function inShort(task: Asked): [string, preact.ComponentChildren][] {
  const reads = Object.entries(task.reads).map(
    ([name, columns]) => `${name}: ${columns.join(", ") || t("everything")}`,
  );
  return [
    [t("Who asks"), task.author],
    [t("Kind"), kindOf(task.kind)],
    [t("Reads"), reads.length ? reads.map((read) => <div key={read}>{read}</div>) : t("no data of yours")],
    [
      t("What would leave"),
      t("{numbers} a round, {rounds}", {
        numbers: counted(task.outputs, "{n} number", "{n} numbers"),
        rounds: counted(task.rounds, "{n} round", "{n} rounds"),
      }),
    ],
  ];
}

export function kindOf(kind: string): string {
  if (kind === "statistics") return t("statistics");
  if (kind === "regression") return t("regression");
  return kind === "learning" ? t("learning") : kind;
}

export function ApprovalView(props: { task: string }) {
  const list = useApprovals();
  const question = useAnswer<Question>(query("/v1/board/question", { task_id: props.task }));
  const task = list.value?.tasks.find((asked) => asked.task === props.task);
  return (
    <Page title={task?.name ?? t("A question")} side={task && <Verdict task={task} />}>
      <p class="crumb">
        <a href="#/approvals">{t("Approvals")}</a> / <Id of={props.task} />
      </p>
      <Answered of={list} waits={t("The node lists what waits for you.")}>
        {() =>
          task ? (
            <>
              <Decide task={task} prospects={question.value?.prospects ?? []} again={list.again} />
              <Card title={t("What it does, in the node's words")}>
                <Disclosure lines={task.disclosure} />
              </Card>
              <div class="two">
                <Card
                  title={t("Class")}
                  side={<Badge tone={classOf(task.class).tone}>{classOf(task.class).word}</Badge>}
                >
                  <p>{classOf(task.class).means}</p>
                  {task.unproven.length > 0 && (
                    <>
                      <p class="quiet">{t("Why it is not safe by construction:")}</p>
                      <ul lang="en">
                        {task.unproven.map((why, i) => (
                          <li key={i}>{why}</li>
                        ))}
                      </ul>
                    </>
                  )}
                </Card>
                <Card title={t("Findings")}>
                  {task.findings.length === 0 ? (
                    <Empty title={t("No rule has anything to say.")} />
                  ) : (
                    <ul class="findings" lang="en">
                      {task.findings.map((finding, i) => (
                        <li key={i}>
                          <Badge tone={decisionOf(finding.says).tone}>{decisionOf(finding.says).word}</Badge>{" "}
                          <span>
                            {finding.dataset && <b>{finding.dataset}: </b>}
                            {finding.why} <span class="quiet mono">{finding.rule}</span>
                          </span>
                        </li>
                      ))}
                    </ul>
                  )}
                </Card>
              </div>
              <Answered of={question} waits={t("The node opens the bundle.")}>
                {(asks) => (
                  <>
                    <Prospects prospects={asks.prospects} rounds={task.rounds} class={task.class} />
                    <Card title={t("Graphs")}>
                      {asks.unread && <Fault text={asks.unread} />}
                      <Graphs
                        files={asks.graphs}
                        path={(file) => query("/v1/board/question/graph", { task_id: props.task, file })}
                      />
                    </Card>
                  </>
                )}
              </Answered>
            </>
          ) : (
            <Card>
              <Empty title={t("This node follows the task no more.")}>
                {t("It is over, or its author has taken it back. What became of it stands in the journal.")}
              </Empty>
            </Card>
          )
        }
      </Answered>
    </Page>
  );
}

function Verdict(props: { task: Asked }) {
  const { tone, word } = decisionOf(props.task.decision);
  return <Badge tone={tone}>{props.task.waits ? t("waits for you") : word}</Badge>;
}

function Prospects(props: { prospects: Prospect[]; rounds: number; class: string }) {
  if (props.prospects.length === 0) {
    return (
      <Card title={t("Budget")}>
        <p class="quiet">
          {t("The task adds no noise, so it costs nothing of a privacy budget, and no budget limits what it tells.")}
        </p>
      </Card>
    );
  }
  return (
    <Card title={t("Budget after it")}>
      <Table
        caption={t("Budget after it")}
        head={[
          t("Dataset"),
          t("Epsilon now"),
          t("After one round"),
          counted(props.rounds, "After the one round", "After all {n} rounds"),
          t("Budget"),
          "",
        ]}
      >
        {props.prospects.map((p) => (
          <tr key={p.dataset}>
            <td>{p.dataset}</td>
            <td class="num">{epsilon(p.before)}</td>
            <td class="num">{epsilon(p.after_round)}</td>
            <td class="num">{epsilon(p.after_all)}</td>
            <td class="num">{p.budget === null ? t("none") : epsilon(p.budget)}</td>
            <td class="grow">
              <Budget spent={p.before} more={p.after_all} budget={p.budget} label={p.dataset} />
              {p.budget !== null && (p.after_all === null || p.after_all > p.budget) && (
                <div class="bad">{t("All rounds together cost more than is left: the node stops before.")}</div>
              )}
            </td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

type Scope = "once" | "always" | "until";

function Decide(props: { task: Asked; prospects: Prospect[]; again: () => void }) {
  const { task } = props;
  const now = useNow();
  const [scope, choose] = useState<Scope>("once");
  const [until, day] = useState(() => new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10));
  const [state, set] = useState<{ working?: boolean; error?: string }>({});
  const decide = (decision: "allow" | "deny") => {
    set({ working: true });
    const body = { task_id: task.task, decision, scope, ...(scope === "until" ? { until } : {}) };
    post("/v1/approvals", body).then(
      () => {
        set({});
        props.again();
      },
      (error) => set({ error: told(error) }),
    );
  };
  const scopes: [Scope, string][] = [
    ["once", t("this task only")],
    ["always", t("this one, and whatever this author asks in the same way")],
    ["until", t("the same, until the end of a day (UTC)")],
  ];
  return (
    <Card title={task.waits ? t("Your word") : t("Your word so far")} class="decide">
      <Facts of={inShort(task)} />
      {task.waits && (
        <p>
          {t("It waits until {time}.", { time: moment(task.until) })}{" "}
          {task.until > now && (
            <span class="quiet">{t("{time} left", { time: seconds((task.until - now) / 1000) })}</span>
          )}
        </p>
      )}
      <fieldset>
        <legend>{t("My word is for")}</legend>
        {scopes.map(([value, words]) => (
          <label key={value}>
            <input type="radio" name="scope" checked={scope === value} onChange={() => choose(value)} /> {words}
          </label>
        ))}
        {scope === "until" && (
          <input
            type="date"
            aria-label={t("The last day")}
            value={until}
            onInput={(event) => day(event.currentTarget.value)}
          />
        )}
      </fieldset>
      {state.error && <Fault text={state.error} />}
      <div class="buttons">
        <button type="button" class="main" disabled={state.working} onClick={() => decide("allow")}>
          {t("Allow")}
        </button>
        <button type="button" class="danger" disabled={state.working} onClick={() => decide("deny")}>
          {t("Deny")}
        </button>
      </div>
    </Card>
  );
}
