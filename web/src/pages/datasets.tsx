// Owner: the datasets of this node, what may be asked of them, and what privacy has cost.

import { query } from "../api";
import { epsilon, moment, number, t } from "../i18n";
import { useAnswer } from "../state";
import type { DatasetEntry, DatasetView, Ledger } from "../types";
import { Answered, Badge, Budget, Card, Empty, Facts, Id, Page, Table, Time, type Tone } from "../ui";

function approvalOf(mode: string): { tone: Tone; word: string } {
  switch (mode) {
    case "never":
      return { tone: "bad", word: t("nobody may ask") };
    case "private":
      return { tone: "good", word: t("allowed under noise") };
    case "controlled":
      return { tone: "good", word: t("allowed if controlled") };
    default:
      return { tone: "warn", word: t("you are asked") };
  }
}

export function DatasetsPage() {
  const list = useAnswer<{ datasets: DatasetEntry[] }>("/v1/datasets");
  const privacy = useAnswer<{ datasets: Ledger[] }>("/v1/privacy");
  const ledgers = new Map(privacy.value?.datasets.map((ledger) => [ledger.dataset, ledger]));
  return (
    <Page title={t("Datasets")}>
      <Answered of={list} waits={t("The node looks at its data.")}>
        {({ datasets }) => (
          <Card>
            {datasets.length === 0 ? (
              <Empty title={t("There is no dataset.")}>
                {t("Tables, arrays and folders of pictures belong into the node's data folder.")}{" "}
                <code>delta-node data list</code>
              </Empty>
            ) : (
              <Table
                caption={t("Datasets")}
                head={[t("Name"), t("What it is"), t("Rules"), t("Catalogue"), t("Privacy budget")]}
              >
                {datasets.map((dataset) => {
                  const ledger = ledgers.get(dataset.name);
                  const { tone, word } = approvalOf(dataset.approval);
                  return (
                    <tr key={dataset.name}>
                      <td>
                        <a href={`#/datasets/${encodeURIComponent(dataset.name)}`}>{dataset.name}</a>
                      </td>
                      <td class={dataset.usable ? "quiet" : "bad"} lang="en">
                        {dataset.description}
                      </td>
                      <td>
                        <Badge tone={tone}>{word}</Badge>{" "}
                        {!dataset.rules && <span class="quiet">{t("by default")}</span>}
                      </td>
                      <td class="quiet">{dataset.published ? t("published") : t("not published")}</td>
                      <td class="grow">
                        {ledger ? (
                          <>
                            <Budget
                              spent={ledger.spent.colluding}
                              more={ledger.committed.colluding}
                              budget={ledger.budget?.epsilon ?? null}
                              label={dataset.name}
                            />
                            <div class="quiet num">
                              {epsilon(ledger.committed.colluding)} /{" "}
                              {ledger.budget ? epsilon(ledger.budget.epsilon) : t("no budget")}
                            </div>
                          </>
                        ) : (
                          <span class="quiet">–</span>
                        )}
                      </td>
                    </tr>
                  );
                })}
              </Table>
            )}
          </Card>
        )}
      </Answered>
    </Page>
  );
}

export function DatasetPage(props: { name: string }) {
  const view = useAnswer<DatasetView>(query("/v1/board/dataset", { name: props.name }));
  const version = useAnswer<{ version: string }>(query("/v1/board/dataset/version", { name: props.name }));
  const list = useAnswer<{ datasets: DatasetEntry[] }>("/v1/datasets");
  const privacy = useAnswer<{ datasets: Ledger[] }>("/v1/privacy");
  const entry = list.value?.datasets.find((dataset) => dataset.name === props.name);
  const ledger = privacy.value?.datasets.find((l) => l.dataset === props.name);
  return (
    <Page
      title={props.name}
      side={entry && <Badge tone={approvalOf(entry.approval).tone}>{approvalOf(entry.approval).word}</Badge>}
    >
      <p class="crumb">
        <a href="#/datasets">{t("Datasets")}</a> / {props.name}
      </p>
      {entry && (
        <p class="lead" lang="en">
          {entry.description}
        </p>
      )}
      <p class="lead quiet" title={t("A fingerprint of the content: the same content has the same one.")}>
        {t("Version")}{" "}
        {version.value ? (
          <Id of={version.value.version} />
        ) : version.error ? (
          <span class="bad">{version.error}</span>
        ) : (
          t("the node reads all of it")
        )}
      </p>
      <Answered of={view} waits={t("The node reads the head of the dataset.")}>
        {(dataset) => (
          <div class="two">
            <Card title={t("Columns")} side={dataset.in_use && <Badge tone="busy">{t("read by a task now")}</Badge>}>
              {dataset.columns ? (
                <Table caption={t("Columns")} head={[t("Name"), t("Type"), t("Role")]}>
                  {dataset.columns.map((column) => (
                    <tr key={column.name}>
                      <td class="mono">{column.name}</td>
                      <td class="quiet">{typeOf(column.type)}</td>
                      <td>
                        {column.role ? (
                          <Badge tone={roleOf(column.role)}>{column.role}</Badge>
                        ) : (
                          <span class="quiet">–</span>
                        )}
                      </td>
                    </tr>
                  ))}
                </Table>
              ) : (
                <Empty title={t("It has no columns to show.")}>
                  <span lang="en">{dataset.unread}</span>
                </Empty>
              )}
            </Card>
            <Card title={t("Rules")} side={!dataset.ruled && <Badge tone="quiet">{t("by default")}</Badge>}>
              <Facts of={rules(dataset.policy)} />
              <p class="quiet">
                {t("Rules are written in the configuration; the node reads them again while it runs.")}
              </p>
            </Card>
          </div>
        )}
      </Answered>
      {ledger && <LedgerCard ledger={ledger} />}
    </Page>
  );
}

function typeOf(type: string | null): string {
  const names: Record<string, string> = {
    integer: t("whole numbers"),
    float: t("numbers"),
    boolean: t("yes or no"),
    category: t("one of some levels"),
    string: t("texts"),
    date: t("dates"),
  };
  return type ? (names[type] ?? type) : t("no cells");
}

function roleOf(role: string): Tone {
  return role === "hidden" ? "bad" : role === "identifier" ? "warn" : "quiet";
}

function rules(policy: Record<string, unknown>): [string, string][] {
  const names: Record<string, string> = {
    approval: t("Asked"),
    who: t("Who may ask"),
    kinds: t("Kinds"),
    members: t("Fewest members of a sum"),
    colluders: t("Colluders withstood"),
    rows: t("Fewest rows"),
    outputs_per_row: t("Numbers for each row"),
    rounds_per_day: t("Rounds a day"),
    until: t("Until"),
    joins: t("Columns to match by"),
  };
  const found: [string, string][] = [];
  for (const [key, name] of Object.entries(names)) {
    const value = policy[key];
    if (value === null || value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    const words =
      key === "until"
        ? moment(Number(value))
        : key === "approval"
          ? approvalOf(String(value)).word
          : Array.isArray(value)
            ? value.join(", ")
            : typeof value === "number"
              ? number(value)
              : String(value);
    found.push([name, words]);
  }
  const privacy = policy.privacy as { epsilon: number; delta: number; unit: unknown; renew: string } | null;
  if (privacy) {
    const unit = typeof privacy.unit === "string" ? privacy.unit : JSON.stringify(privacy.unit);
    found.push([
      t("Privacy budget"),
      `epsilon ${epsilon(privacy.epsilon)}, delta ${privacy.delta.toExponential()}, ${unit}, ${privacy.renew}`,
    ]);
  }
  const verify = policy.verify as { max_rows: number | null; columns: Record<string, [number, number]> | null } | null;
  if (verify) {
    const columns = Object.entries(verify.columns ?? {}).map(([name, [low, high]]) => `${name} ${low} – ${high}`);
    const rows = verify.max_rows === null ? [] : [t("{n} rows at most", { n: number(verify.max_rows) })];
    found.push([t("Certified tasks"), [...rows, ...columns].join(", ")]);
  }
  return found;
}

function LedgerCard(props: { ledger: Ledger }) {
  const { ledger } = props;
  const budget = ledger.budget?.epsilon ?? null;
  const rows: [string, typeof ledger.spent][] = [
    [t("Spent in this period"), ledger.spent],
    [t("With what is reserved"), ledger.committed],
    [t("Ever"), ledger.lifetime],
  ];
  return (
    <Card
      title={t("Privacy ledger")}
      side={<span class="quiet">{t("epsilon at delta {delta}", { delta: ledger.delta.toExponential() })}</span>}
    >
      <Table
        caption={t("Privacy ledger")}
        head={["", t("Nobody colludes"), t("As many collude as assumed"), t("Own noise alone"), ""]}
      >
        {rows.map(([name, values]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td class="num">{epsilon(values.nobody)}</td>
            <td class="num strong">{epsilon(values.colluding)}</td>
            <td class="num">{epsilon(values.alone)}</td>
            <td class="grow">
              <Budget spent={values.colluding} budget={budget} label={name} />
            </td>
          </tr>
        ))}
      </Table>
      {ledger.charges.length + ledger.reserved.length > 0 && (
        <details>
          <summary>{t("The last releases")}</summary>
          <Table caption={t("The last releases")} head={[t("When"), t("What for"), "epsilon", ""]}>
            {ledger.reserved.map((r, i) => (
              <tr key={`r${i}`}>
                <td class="quiet">
                  <Time at={r.at} />
                </td>
                <td class="mono">{r.purpose}</td>
                <td class="num">{epsilon(r.epsilons.colluding)}</td>
                <td>
                  <Badge tone="busy">{t("reserved")}</Badge>
                </td>
              </tr>
            ))}
            {[...ledger.charges].reverse().map((c, i) => (
              <tr key={`c${i}`}>
                <td class="quiet">
                  <Time at={c.at} />
                </td>
                <td class="mono">{c.purpose}</td>
                <td class="num">{epsilon(c.epsilons?.colluding)}</td>
                <td />
              </tr>
            ))}
          </Table>
        </details>
      )}
    </Card>
  );
}
