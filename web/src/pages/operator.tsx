// Operator: this node, what is wrong with it, and the network around it.

import { useState } from "preact/hooks";
import { get } from "../api";
import { counted, moment, number, seconds, size, t } from "../i18n";
import { told, useAnswer, useEvents, useNow, useThrottled } from "../state";
import type { CheckResult, KnownNode, Network, NodeStatus, Scope, Vitals } from "../types";
import { Answered, Badge, Card, Empty, Facts, Fault, Id, Page, Table, Time, type Tone, Waiting } from "../ui";

export function NodePage(props: { scopes: Scope[] }) {
  const answer = useAnswer<NodeStatus>("/v1/board/node");
  const vitals = useAnswer<Vitals>("/v1/vitals");
  const again = useThrottled(() => {
    answer.again();
    vitals.again();
  }, 3000);
  useEvents((event) => {
    if (event) again();
  });
  const now = useNow(1000);
  return (
    <Page title={t("This node")}>
      <Answered of={answer} waits={t("The node looks at itself.")}>
        {(node) => (
          <>
            {node.checks.some((check) => !check.ok) && (
              <Fault text={t("The node cannot work as it should: see Health.")} />
            )}
            <div class="two">
              <Card
                title={node.name || t("This node")}
                side={
                  node.connector_away ? (
                    <Badge tone="bad">
                      {t("connector away for {time}", { time: seconds((now - node.connector_away) / 1000) })}
                    </Badge>
                  ) : (
                    <Badge tone="good">{t("on the network")}</Badge>
                  )
                }
              >
                <Facts
                  of={[
                    [t("Organisation"), node.organisation],
                    [t("Address"), node.address ? <Id of={node.address} /> : t("not registered yet")],
                    [t("Fingerprint"), <Id of={node.fingerprint} />],
                    [t("Url"), <span class="mono">{node.url}</span>],
                    [t("Version"), node.version],
                    [t("Running for"), <span title={moment(node.since)}>{seconds((now - node.since) / 1000)}</span>],
                    [t("Graphs run on"), node.runtime],
                  ]}
                />
              </Card>
              <Card title={t("Load")}>
                <Facts
                  of={[
                    [t("Own tasks that run"), `${number(node.tasks)} / ${number(node.most_tasks)}`],
                    [t("Tasks followed as a member"), number(node.followed)],
                    [
                      t("Waiting for the owner"),
                      node.waiting ? (
                        <a href="#/approvals">{counted(node.waiting, "{n} question", "{n} questions")}</a>
                      ) : (
                        "0"
                      ),
                    ],
                    [t("Room on the disk"), node.room === null ? t("unknown") : size(node.room)],
                    ...(vitals.value ? queues(vitals.value) : []),
                  ]}
                />
              </Card>
            </div>
            <Card title={t("Health")}>
              <Table caption={t("Health")} head={[t("What"), t("State"), t("Detail")]}>
                {node.checks.map((check) => (
                  <tr key={check.name}>
                    <td>{check.name}</td>
                    <td>
                      <Badge tone={check.ok ? "good" : "bad"}>{check.ok ? t("good") : t("bad")}</Badge>
                    </td>
                    <td lang="en">{check.detail}</td>
                  </tr>
                ))}
              </Table>
            </Card>
          </>
        )}
      </Answered>
      {props.scopes.includes("admin") && <Check />}
    </Page>
  );
}

/** What works now, and what stands in line for it. */
function queues({ workers, queues, memory }: Vitals): [string, string][] {
  return [
    [t("Workers that compute"), `${number(workers.running)} / ${number(workers.limit)}`],
    [t("Computations that wait for a worker"), number(queues.workers)],
    [t("Calls that wait for the connector"), number(queues.connector)],
    [t("Log lines not written yet"), number(queues.log)],
    [t("Memory of the node"), size(memory)],
  ];
}

function Check() {
  const [state, set] = useState<{ working?: boolean; found?: CheckResult; error?: string; at?: number }>({});
  const run = () => {
    set({ working: true });
    get<CheckResult>("/v1/board/check").then(
      (found) => set({ found, at: Date.now() }),
      (error) => set({ error: told(error) }),
    );
  };
  const tone = (level: string): Tone => (level === "ok" ? "good" : level === "warn" ? "warn" : "bad");
  const order = { fail: 0, warn: 1, ok: 2 };
  const sorted = [...(state.found?.findings ?? [])].sort((a, b) => order[a.level] - order[b.level]);
  return (
    <Card
      title={t("What check finds")}
      side={
        <>
          {state.at && <Time at={state.at} />}
          <button type="button" disabled={state.working} onClick={run}>
            {t("Run the checks")}
          </button>
        </>
      }
    >
      {state.error && <Fault text={state.error} again={run} />}
      {state.working && (
        <Waiting text={t("The node tries out its disk, database, connector, runtime and data: some seconds.")} />
      )}
      {!state.found && !state.working && !state.error && (
        <p class="quiet">
          {t("The same as")} <code>delta-node check</code>
          {t(": configuration, doors, connector, walls around workers, datasets.")}
        </p>
      )}
      {state.found && (
        <Table caption={t("What check finds")} head={[t("State"), t("What"), t("Detail")]}>
          {sorted.map((finding, i) => (
            <tr key={i}>
              <td>
                <Badge tone={tone(finding.level)}>
                  {finding.level === "ok" ? t("good") : finding.level === "warn" ? t("note") : t("bad")}
                </Badge>
              </td>
              <td>{finding.name}</td>
              <td lang="en">{finding.detail}</td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

function trustOf(trust: string): { tone: Tone; word: string; means: string } {
  switch (trust) {
    case "rostered":
      return { tone: "good", word: t("in the roster"), means: t("The roster's organisations vouch for its key.") };
    case "pinned":
      return { tone: "good", word: t("pinned"), means: t("You vouch for its key.") };
    case "first use":
      return {
        tone: "warn",
        word: t("first use"),
        means: t("It proves the key that it had when it was first seen; nobody vouches for it."),
      };
    case "changed":
      return {
        tone: "bad",
        word: t("key has changed"),
        means: t("It proves another key than before, and counts for nothing until you accept it."),
      };
    default:
      return { tone: "quiet", word: t("no key"), means: t("It proves no key.") };
  }
}

const ANY = 44;

/** Nodes around the connector; what vouches for each is its ring. */
function NetworkMap(props: { nodes: KnownNode[] }) {
  const all = props.nodes.slice(0, ANY);
  const R = 150;
  const at = (i: number) => {
    const angle = (i / all.length) * 2 * Math.PI - Math.PI / 2;
    return [300 + Math.cos(angle) * R * 1.45, 190 + Math.sin(angle) * R] as const;
  };
  const words = counted(
    props.nodes.length,
    "A map of {n} node around the connector; the table below says the same.",
    "A map of {n} nodes around the connector; the table below says the same.",
  );
  return (
    <svg class="map" viewBox="0 0 600 390" role="img" aria-label={words}>
      {all.map((node, i) => {
        const [x, y] = at(i);
        return (
          <line key={node.address} class={`way ${node.seen === false ? "off" : ""}`} x1="300" y1="190" x2={x} y2={y} />
        );
      })}
      <g class="hub">
        <circle cx="300" cy="190" r="36" />
        <text x="300" y="194">
          {t("connector")}
        </text>
      </g>
      {all.map((node, i) => {
        const [x, y] = at(i);
        const { tone, means } = trustOf(node.trust);
        return (
          <g key={node.address} class={`node ${tone} ${node.own ? "own" : ""}`}>
            <title>
              {node.name}: {means}
            </title>
            <circle cx={x} cy={y} r={all.length > 16 ? 9 : 15} />
            {all.length <= 24 && (
              <text x={x} y={y + (y < 190 ? -22 : 32)}>
                {node.name.length > 18 ? `${node.name.slice(0, 17)}…` : node.name}
              </text>
            )}
          </g>
        );
      })}
    </svg>
  );
}

export function NetworkPage() {
  const answer = useAnswer<Network>("/v1/board/network");
  return (
    <Page
      title={t("Network")}
      side={
        <button type="button" onClick={answer.again}>
          {t("Look again")}
        </button>
      }
    >
      <Answered of={answer} waits={t("The node asks the connector who is on record.")}>
        {({ nodes, total, anchored }) =>
          nodes.length === 0 ? (
            <Card>
              <Empty title={t("No node is on record.")} />
            </Card>
          ) : (
            <>
              {!anchored && (
                <p class="note">
                  {t(
                    "Neither a roster nor pins say who counts: whoever comes first under an address is taken for it. Floors of members can then be filled by one who runs many nodes.",
                  )}
                </p>
              )}
              <Card title={t("Map")} side={<Trusts nodes={nodes} />}>
                <NetworkMap nodes={nodes} />
              </Card>
              <Card
                title={t("Nodes")}
                side={
                  <span class="quiet">
                    {t("{shown} of {total}", { shown: number(nodes.length), total: number(total) })}
                  </span>
                }
              >
                <Table
                  caption={t("Nodes")}
                  head={[
                    t("Name"),
                    t("Organisation"),
                    t("Trust"),
                    t("Seen"),
                    t("Way"),
                    t("Address"),
                    t("Fingerprint"),
                    t("Card until"),
                  ]}
                >
                  {nodes.map((node) => {
                    const trust = trustOf(node.trust);
                    return (
                      <tr key={node.address}>
                        <td>
                          {node.name || t("(no name)")} {node.own && <Badge tone="busy">{t("this node")}</Badge>}
                        </td>
                        <td>
                          {node.organisation ?? "–"}{" "}
                          {node.organisation && !node.vouched && <span class="quiet">{t("(its own word)")}</span>}
                        </td>
                        <td>
                          <Badge tone={trust.tone} title={trust.means}>
                            {trust.word}
                          </Badge>
                        </td>
                        <td>
                          {node.seen === null ? (
                            <span class="quiet">{t("not lately")}</span>
                          ) : node.seen ? (
                            t("yes")
                          ) : (
                            <span class="bad">{t("no")}</span>
                          )}
                        </td>
                        <td class="mono line" title={node.url}>
                          {node.url} {node.url.startsWith("http://") && <Badge tone="quiet">{t("no TLS")}</Badge>}
                        </td>
                        <td>
                          <Id of={node.address} />
                        </td>
                        <td>{node.fingerprint ? <Id of={node.fingerprint} /> : "–"}</td>
                        <td class="quiet">{node.card_until ? <Time at={node.card_until} /> : "–"}</td>
                      </tr>
                    );
                  })}
                </Table>
              </Card>
            </>
          )
        }
      </Answered>
    </Page>
  );
}

function Trusts(props: { nodes: KnownNode[] }) {
  const counts = new Map<string, number>();
  for (const node of props.nodes) counts.set(node.trust, (counts.get(node.trust) ?? 0) + 1);
  return (
    <>
      {[...counts].map(([trust, n]) => (
        <Badge key={trust} tone={trustOf(trust).tone} title={trustOf(trust).means}>
          {trustOf(trust).word} {number(n)}
        </Badge>
      ))}
    </>
  );
}
