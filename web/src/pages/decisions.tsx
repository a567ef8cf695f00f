// What the owner has decided, and how it is taken back.

import { useState } from "preact/hooks";
import { post } from "../api";
import { moment, t } from "../i18n";
import { told } from "../state";
import type { Decision } from "../types";
import { Badge, Card, Empty, Fault, Table, Time } from "../ui";
import { decisionOf, whoIs } from "./words";

export function Decisions(props: { decisions: Decision[]; again: () => void }) {
  const [fault, blame] = useState<string | null>(null);
  const revoke = (id: string) => post("/v1/approvals/revoke", { id }).then(props.again, (error) => blame(told(error)));
  const newest = [...props.decisions].reverse();
  return (
    <Card title={t("What you have decided")}>
      {fault && <Fault text={fault} />}
      {newest.length === 0 ? (
        <Empty title={t("Nothing was decided yet.")} />
      ) : (
        <Table caption={t("What you have decided")} head={[t("When"), t("Word"), t("Author"), t("For"), t("With"), ""]}>
          {newest.slice(0, 100).map((decision) => (
            <tr key={decision.id}>
              <td class="quiet">
                <Time at={decision.decided_at} />
              </td>
              <td>
                <Badge tone={decisionOf(decision.decision).tone}>{decisionOf(decision.decision).word}</Badge>
              </td>
              <td>{whoIs(decision.author)}</td>
              <td class="quiet">{scopeOf(decision.scope)}</td>
              <td class="quiet">{decision.decided_with}</td>
              <td>
                {decision.revoked ? (
                  <span class="quiet">
                    {t("taken back")} <Time at={decision.revoked} />
                  </span>
                ) : (
                  <button type="button" onClick={() => revoke(decision.id)}>
                    {t("Take back")}
                  </button>
                )}
              </td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

function scopeOf(scope: unknown): string {
  if (scope === "always") return t("always");
  if (scope && typeof scope === "object") {
    const [[kind, value] = ["", ""]] = Object.entries(scope as Record<string, unknown>);
    if (kind === "until") return t("until {time}", { time: moment(Number(value)) });
    if (kind === "once") return t("task {id}", { id: `${String(value).slice(0, 10)}…` });
  }
  return t("one task");
}
