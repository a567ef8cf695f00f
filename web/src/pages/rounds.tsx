// What became of a task's rounds: who took part, and where the time went.

import { Legend, Timeline } from "../charts";
import { counted, number, seconds, t } from "../i18n";
import type { Progress, Report } from "../types";
import { Badge, Card, Empty, Id, Table } from "../ui";
import type { Name } from "./task";

export function Members(props: { progress: Progress; name: Name }) {
  const all = new Map<string, { rounds: number; lost: number; last: number }>();
  for (const report of props.progress.history) {
    for (const who of report.who) {
      const had = all.get(who) ?? { rounds: 0, lost: 0, last: 0 };
      all.set(who, { ...had, rounds: had.rounds + 1, last: report.round });
    }
    for (const who of report.lost) {
      const had = all.get(who) ?? { rounds: 0, lost: 0, last: 0 };
      all.set(who, { ...had, lost: had.lost + 1 });
    }
  }
  const failed = props.progress.history.reduce((sum, report) => sum + report.failed, 0);
  return (
    <Card title={t("Members")}>
      {all.size === 0 ? (
        <Empty title={t("Nobody has taken part yet.")}>{t("Members stand here after the first round.")}</Empty>
      ) : (
        <Table caption={t("Members")} head={[t("Node"), t("Address"), t("In the sum"), t("Lost"), t("Last round")]}>
          {[...all].map(([who, { rounds, lost, last }]) => (
            <tr key={who}>
              <td>{props.name(who)}</td>
              <td>
                <Id of={who} />
              </td>
              <td class="num">{number(rounds)}</td>
              <td class="num">{lost ? <Badge tone="warn">{number(lost)}</Badge> : "0"}</td>
              <td class="num">{last || "–"}</td>
            </tr>
          ))}
        </Table>
      )}
      {failed > 0 && (
        <p class="quiet">
          {counted(
            failed,
            "{n} contribution was zeros: its member could not compute it. Which one it was, nobody is told.",
            "{n} contributions were zeros: their members could not compute them. Which ones they were, nobody is told.",
          )}
        </p>
      )}
    </Card>
  );
}

export function Rounds(props: { history: Report[]; name: Name }) {
  const most = Math.max(0, ...props.history.map((report) => report.seconds));
  if (props.history.length === 0) {
    return (
      <Card title={t("Where the time went")}>
        <Empty title={t("No round is over yet.")} />
      </Card>
    );
  }
  return (
    <Card title={t("Where the time went")} side={<Legend />}>
      <Table
        caption={t("Rounds")}
        class="rounds"
        head={[t("Round"), t("Where the time went"), t("Time"), t("Members"), t("Came last"), t("Outcome")]}
      >
        {props.history.map((report, i) => (
          <tr key={i}>
            <td class="num">{report.round}</td>
            <td class="grow">
              <Timeline spans={report.phases} total={report.seconds} most={most} name={props.name} />
            </td>
            <td class="num">{seconds(report.seconds)}</td>
            <td class="num">
              {report.members}
              {report.dropped > 0 && <span class="quiet"> −{report.dropped}</span>}
            </td>
            <td class="quiet">{late(report, props.name)}</td>
            <td>
              {report.error ? (
                <span class="bad">{report.error}</span>
              ) : report.dropped > 0 ? (
                <Badge tone="warn" title={report.lost.map(props.name).join(", ")}>
                  {t("lost {names}", { names: report.lost.map(props.name).join(", ") })}
                </Badge>
              ) : (
                <Badge tone="good">{t("summed")}</Badge>
              )}
            </td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

/** Who was waited for in the longest phase in which anybody was. */
function late(report: Report, name: Name): string {
  const waited = report.phases.filter((span) => span.last.length > 0);
  const longest = waited.sort((a, b) => b.seconds - a.seconds)[0];
  return longest && longest.last.length < 3 ? longest.last.map(name).join(", ") : "–";
}
