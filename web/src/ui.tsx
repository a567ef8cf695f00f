// Pieces of pages.

import type { ComponentChildren, VNode } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ago, counted, epsilon, moment, t } from "./i18n";
import { type Answer, useNow } from "./state";

export function Page(props: { title: string; side?: ComponentChildren; children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${props.title} · Delta`;
  }, [props.title]);
  useEffect(() => heading.current?.focus(), []);
  return (
    <main id="main">
      <header class="page-head">
        <h1 ref={heading} tabIndex={-1}>
          {props.title}
        </h1>
        <div class="side">{props.side}</div>
      </header>
      {props.children}
    </main>
  );
}

export function Card(props: {
  title?: ComponentChildren;
  side?: ComponentChildren;
  class?: string;
  children: ComponentChildren;
}) {
  const id = useId();
  return (
    <section class={`card ${props.class ?? ""}`} aria-labelledby={props.title ? id : undefined}>
      {props.title && (
        <header>
          <h2 id={id}>{props.title}</h2>
          <div class="side">{props.side}</div>
        </header>
      )}
      {props.children}
    </section>
  );
}

export type Tone = "good" | "warn" | "bad" | "busy" | "quiet";

export function Badge(props: { tone: Tone; children: ComponentChildren; title?: string }) {
  return (
    <span class={`badge ${props.tone}`} title={props.title}>
      {props.children}
    </span>
  );
}

export function Empty(props: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="strong">{props.title}</p>
      {props.children && <div class="quiet">{props.children}</div>}
    </div>
  );
}

export function Fault(props: { text: string; again?: () => void }) {
  return (
    <div class="fault" role="alert">
      <span>{props.text}</span>
      {props.again && (
        <button type="button" onClick={props.again}>
          {t("Try again")}
        </button>
      )}
    </div>
  );
}

/** What an answer becomes: a word on what is waited for, why it does not come, or the page. */
export function Answered<T>(props: { of: Answer<T>; waits: string; children: (value: T) => ComponentChildren }): VNode {
  const { value, error, again } = props.of;
  return (
    <>
      {error && <Fault text={error} again={again} />}
      {value !== null ? props.children(value) : error ? null : <Waiting text={props.waits} />}
    </>
  );
}

/** A wait says what for, and since when. Nothing is shown for waits that nobody notices. */
export function Waiting(props: { text: string }) {
  const [since] = useState(Date.now());
  const now = useNow(500);
  if (now - since < 400) return <div class="waiting" aria-hidden="true" />;
  const so = Math.round((now - since) / 1000);
  return (
    <div class="waiting" role="status">
      {props.text}
      {so >= 3 && <span class="quiet"> {counted(so, "{n} second so far", "{n} seconds so far")}</span>}
    </div>
  );
}

export function Time(props: { at: number; both?: boolean }) {
  const now = useNow(5000);
  return (
    <time dateTime={new Date(props.at).toISOString()} title={moment(props.at)}>
      {props.both ? `${moment(props.at)} (${ago(props.at, now)})` : ago(props.at, now)}
    </time>
  );
}

/** An id: its two ends, whole when it is copied. */
export function Id(props: { of: string; name?: string | undefined }) {
  const [copied, set] = useState(false);
  const short = props.of.length > 16 ? `${props.of.slice(0, 8)}…${props.of.slice(-4)}` : props.of;
  const copy = () => {
    navigator.clipboard?.writeText(props.of).then(() => {
      set(true);
      setTimeout(() => set(false), 1500);
    });
  };
  return (
    <span class="id">
      {props.name && <span class="name">{props.name}</span>}
      <button type="button" class="link mono" title={props.of} onClick={copy}>
        <span class="unseen">{t("Copy")} </span>
        {copied ? t("copied") : short}
      </button>
    </span>
  );
}

export function Facts(props: { of: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {props.of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Table(props: {
  caption: string;
  head: ComponentChildren[];
  children: ComponentChildren;
  class?: string;
}) {
  return (
    // A region that scrolls must be reachable by keyboard.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
    <section class={`scroll ${props.class ?? ""}`} aria-label={props.caption} tabIndex={0}>
      <table>
        <caption class="unseen">{props.caption}</caption>
        <thead>
          <tr>
            {props.head.map((cell, i) => (
              <th key={i} scope="col">
                {cell}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{props.children}</tbody>
      </table>
    </section>
  );
}

export interface Tab {
  id: string;
  name: string;
  page: () => ComponentChildren;
}

export function Tabs(props: { label: string; tabs: Tab[]; chosen: string; choose: (id: string) => void }) {
  const list = useRef<HTMLDivElement>(null);
  const chosen = props.tabs.find((tab) => tab.id === props.chosen) ?? props.tabs[0];
  const keys = (event: KeyboardEvent) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step || !chosen) return;
    const at = props.tabs.indexOf(chosen);
    const next = props.tabs[(at + step + props.tabs.length) % props.tabs.length];
    if (next) {
      props.choose(next.id);
      list.current?.querySelector<HTMLElement>(`#tab-${next.id}`)?.focus();
    }
    event.preventDefault();
  };
  return (
    <>
      <div class="tabs" role="tablist" aria-label={props.label} ref={list} onKeyDown={keys}>
        {props.tabs.map((tab) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`tab-${tab.id}`}
            aria-selected={tab === chosen}
            aria-controls={tab === chosen ? "tab-page" : undefined}
            tabIndex={tab === chosen ? 0 : -1}
            onClick={() => props.choose(tab.id)}
          >
            {tab.name}
          </button>
        ))}
      </div>
      <div role="tabpanel" id="tab-page" aria-labelledby={`tab-${chosen?.id}`} tabIndex={-1}>
        {chosen?.page()}
      </div>
    </>
  );
}

/** Asks once more before it does what cannot be taken back. */
export function Sure(props: { label: string; question: string; act: () => Promise<void>; class?: string }) {
  const [asking, ask] = useState(false);
  const [working, work] = useState(false);
  const first = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (asking) first.current?.focus();
  }, [asking]);
  if (!asking) {
    return (
      <button type="button" class={props.class} onClick={() => ask(true)}>
        {props.label}
      </button>
    );
  }
  const act = () => {
    work(true);
    props.act().finally(() => {
      work(false);
      ask(false);
    });
  };
  return (
    <fieldset class="sure">
      <legend>{props.question}</legend>
      <button type="button" ref={first} class="danger" disabled={working} onClick={act}>
        {props.label}
      </button>
      <button type="button" disabled={working} onClick={() => ask(false)}>
        {t("No, leave it")}
      </button>
    </fieldset>
  );
}

/** What is spent of a budget, and what a task would add. */
export function Budget(props: { spent: number | null; more?: number | null; budget: number | null; label: string }) {
  const { spent, budget } = props;
  const end = props.more === undefined ? spent : props.more;
  const most = Math.max(budget ?? 0, spent ?? 0, end ?? 0) || 1;
  const share = (value: number | null) => Math.min(100, ((value ?? most) / most) * 100);
  const over = budget !== null && (end === null || end > budget);
  const words =
    budget === null
      ? t("{label}: epsilon {spent}, no budget", { label: props.label, spent: epsilon(end) })
      : t("{label}: epsilon {spent} of {budget}", { label: props.label, spent: epsilon(end), budget: epsilon(budget) });
  return (
    <svg
      class={`budget ${over ? "over" : ""}`}
      viewBox="0 0 100 8"
      preserveAspectRatio="none"
      role="img"
      aria-label={words}
    >
      <title>{words}</title>
      <rect class="all" width="100" height="8" />
      <rect class="more" width={share(end)} height="8" />
      <rect class="spent" width={share(spent)} height="8" />
      {budget !== null && budget < most && <rect class="limit" x={share(budget) - 0.4} width="0.8" height="8" />}
    </svg>
  );
}

export function statusOf(status: string): { tone: Tone; word: string } {
  switch (status) {
    case "PENDING":
      return { tone: "quiet", word: t("starting") };
    case "RUNNING":
      return { tone: "busy", word: t("running") };
    case "FINISHED":
      return { tone: "good", word: t("finished") };
    case "CONFIRMED":
      return { tone: "good", word: t("confirmed") };
    default:
      return { tone: "bad", word: t("failed") };
  }
}

export function StatusBadge(props: { status: string; error?: string | null }) {
  const cancelled = props.error === "the task was cancelled";
  const { tone, word } = cancelled ? { tone: "quiet" as Tone, word: t("cancelled") } : statusOf(props.status);
  return <Badge tone={tone}>{word}</Badge>;
}
