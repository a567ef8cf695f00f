// Owner: who computes on my data now and did before, and the journal they stand in.

import { useState } from "preact/hooks";
import { get, query } from "../api";
import { counted, epsilon, moment, number, t } from "../i18n";
import { told, useAnswer, useEvents, useThrottled } from "../state";
import type { Approvals, Journal, JournalLine, Who } from "../types";
import { Answered, Badge, Card, Empty, Fault, Id, Page, Table, Time } from "../ui";
import { classOf, decisionOf, whoIs } from "./words";

function useJournal(limit: number) {
  const answer = useAnswer<Journal>(query("/v1/board/journal", { limit }));
  const [earlier, add] = useState<Journal | null>(null);
  const [fault, blame] = useState<string | null>(null);
  const again = useThrottled(answer.again, 1500);
  useEvents((event) => {
    if (event === "approvals" || event === "again") again();
  });
  const lines = [...(earlier?.lines ?? []), ...(answer.value?.lines ?? [])];
  const known = new Map(lines.map((line) => [line.number, line]));
  const all = [...known.values()].sort((a, b) => b.number - a.number);
  const rest = all.length ? (all.at(-1)?.number ?? 1) - 1 : 0;
  const more = () =>
    get<Journal>(query("/v1/board/journal", { limit, before: all.at(-1)?.number })).then(
      (found) => add((had) => ({ earlier: found.earlier, lines: [...found.lines, ...(had?.lines ?? [])] })),
      (error) => blame(told(error)),
    );
  return { answer, all, rest, more, fault };
}

interface Use {
  task: string;
  author: Who | null;
  decision: string;
  rules: string[];
  rounds: number;
  numbers: number;
  datasets: Set<string>;
  last: number;
}

/** What tasks have taken, by what the journal says of each. */
function uses(lines: JournalLine[]): Use[] {
  const all = new Map<string, Use>();
  for (const line of [...lines].sort((a, b) => a.number - b.number)) {
    const event = line.event;
    if (event.what !== "judged" && event.what !== "released") continue;
    const task = String(event.task);
    const had = all.get(task) ?? {
      task,
      author: null,
      decision: "",
      rules: [],
      rounds: 0,
      numbers: 0,
      datasets: new Set<string>(),
      last: 0,
    };
    if (event.what === "judged") {
      had.author = event.author as Who;
      had.decision = String(event.decision);
      had.rules = event.by as string[];
    } else {
      had.rounds += 1;
      had.numbers += Number(event.outputs);
      for (const name of event.datasets as string[]) had.datasets.add(name);
    }
    had.last = line.at;
    all.set(task, had);
  }
  return [...all.values()].sort((a, b) => b.last - a.last);
}

export function UsagePage() {
  const now = useAnswer<Approvals>("/v1/approvals");
  const journal = useJournal(1000);
  return (
    <Page title={t("Who computes on my data")}>
      <Answered of={now} waits={t("The node lists the tasks that it follows.")}>
        {({ tasks }) => (
          <Card title={t("Now")}>
            {tasks.length === 0 ? (
              <Empty title={t("No task is running on your data.")} />
            ) : (
              <Table caption={t("Now")} head={[t("Task"), t("Author"), t("Class"), t("Reads"), t("Outcome")]}>
                {tasks.map((task) => (
                  <tr key={task.task}>
                    <td>
                      <a href={`#/approvals/${task.task}`}>{task.name}</a>
                    </td>
                    <td>{task.author}</td>
                    <td>
                      <Badge tone={classOf(task.class).tone}>{classOf(task.class).word}</Badge>
                    </td>
                    <td class="quiet">{Object.keys(task.reads).join(", ")}</td>
                    <td>
                      <Badge tone={decisionOf(task.decision).tone}>
                        {task.waits ? t("waits for you") : decisionOf(task.decision).word}
                      </Badge>
                    </td>
                  </tr>
                ))}
              </Table>
            )}
          </Card>
        )}
      </Answered>
      <Answered of={journal.answer} waits={t("The node reads its journal.")}>
        {() => {
          const before = uses(journal.all);
          return (
            <Card title={t("Before")}>
              {journal.fault && <Fault text={journal.fault} />}
              {before.length === 0 ? (
                <Empty title={t("The journal names no task yet.")} />
              ) : (
                <Table
                  caption={t("Before")}
                  head={[
                    t("Task"),
                    t("Author"),
                    t("Datasets"),
                    t("Rounds that left"),
                    t("Numbers in all"),
                    t("Last"),
                    t("Outcome"),
                  ]}
                >
                  {before.map((use) => (
                    <tr key={use.task}>
                      <td>
                        <Id of={use.task} />
                      </td>
                      <td>{use.author ? whoIs(use.author) : "–"}</td>
                      <td class="quiet">{[...use.datasets].join(", ") || "–"}</td>
                      <td class="num">{number(use.rounds)}</td>
                      <td class="num">{number(use.numbers)}</td>
                      <td class="quiet">
                        <Time at={use.last} />
                      </td>
                      <td>
                        {use.decision && (
                          <Badge tone={decisionOf(use.decision).tone} title={use.rules.join(", ")}>
                            {decisionOf(use.decision).word}
                          </Badge>
                        )}
                      </td>
                    </tr>
                  ))}
                </Table>
              )}
              <More rest={journal.rest} more={journal.more} />
            </Card>
          );
        }}
      </Answered>
    </Page>
  );
}

function More(props: { rest: number; more: () => void }) {
  if (props.rest <= 0) return null;
  return (
    <p class="foot quiet">
      {counted(
        props.rest,
        "{n} earlier line of the journal is not looked at.",
        "{n} earlier lines of the journal are not looked at.",
      )}{" "}
      <button type="button" onClick={props.more}>
        {t("Show earlier ones")}
      </button>
    </p>
  );
}

export function JournalPage() {
  const journal = useJournal(200);
  return (
    <Page title={t("Journal")}>
      <p class="quiet">
        {t("What was decided and what left this node, signed, line after line. To check the signatures:")}{" "}
        <code>delta-node audit verify</code>
      </p>
      <Answered of={journal.answer} waits={t("The node reads its journal.")}>
        {() => (
          <Card>
            {journal.fault && <Fault text={journal.fault} />}
            {journal.all.length === 0 ? (
              <Empty title={t("The journal is empty.")} />
            ) : (
              <Table caption={t("Journal")} head={[t("Line"), t("When"), t("What"), t("About")]}>
                {journal.all.map((line) => (
                  <tr key={line.number}>
                    <td class="num quiet">{line.number}</td>
                    <td class="quiet">
                      <time dateTime={new Date(line.at).toISOString()}>{moment(line.at)}</time>
                    </td>
                    <td>{eventOf(line)}</td>
                    <td>{about(line)}</td>
                  </tr>
                ))}
              </Table>
            )}
            <More rest={journal.rest} more={journal.more} />
          </Card>
        )}
      </Answered>
    </Page>
  );
}

function eventOf(line: JournalLine) {
  const event = line.event;
  switch (event.what) {
    case "policy":
      return t("rules were read");
    case "judged":
      return (
        <>
          {t("a task was judged")}{" "}
          <Badge tone={decisionOf(String(event.decision)).tone}>{decisionOf(String(event.decision)).word}</Badge>
        </>
      );
    case "decided":
      return (
        <>
          {t("you decided")}{" "}
          <Badge tone={decisionOf(String(event.decision)).tone}>{decisionOf(String(event.decision)).word}</Badge>
        </>
      );
    case "revoked":
      return t("you took a decision back");
    case "released":
      return t("a sum left");
    default:
      return event.what;
  }
}

function about(line: JournalLine) {
  const event = line.event as Record<string, unknown>;
  const list = (value: unknown) => (Array.isArray(value) ? value.join(", ") : "");
  switch (line.event.what) {
    case "policy":
      return list(event.datasets) || t("no dataset has rules of its own");
    case "judged":
      return (
        <>
          {whoIs(event.author as Who)} · <Id of={String(event.task)} /> <span class="quiet mono">{list(event.by)}</span>
        </>
      );
    case "decided":
      return (
        <>
          {whoIs(event.author as Who)} <span class="quiet">· {String(event.decided_with)}</span>
        </>
      );
    case "revoked":
      return <Id of={String(event.approval)} />;
    case "released":
      return (
        <>
          {t("{numbers} of {datasets}, round {n}", {
            numbers: counted(Number(event.outputs), "{n} number", "{n} numbers"),
            datasets: list(event.datasets) || "–",
            n: Number(event.round),
          })}{" "}
          · <Id of={String(event.task)} />
          {typeof event.epsilon === "number" && <span class="quiet"> · epsilon {epsilon(event.epsilon)}</span>}
        </>
      );
    default:
      return null;
  }
}
