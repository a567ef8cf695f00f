// Charts by hand: a line of numbers over rounds, and where the time of a round went.

import { useState } from "preact/hooks";
import { number, seconds, t } from "./i18n";
import type { Span } from "./types";

/** Round numbers that divide a range into a few steps. */
export function ticks(low: number, high: number, most = 4): number[] {
  if (!(high > low)) return [low];
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((f) => f * power).find((s) => s >= rough) ?? rough;
  const found: number[] = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step)
    found.push(Number(at.toPrecision(12)));
  return found;
}

export interface Point {
  x: number;
  y: number;
  /** Members were lost here. */
  lost: boolean;
}

const W = 420;
const H = 180;
const LEFT = 52;
const BOTTOM = 24;

/** One curve. Numbers that are none are gaps. */
export function Curve(props: { name: string; points: Point[]; rounds: number }) {
  const [at, look] = useState<number | null>(null);
  const good = props.points.filter((p) => Number.isFinite(p.y));
  const ys = good.map((p) => p.y);
  let low = Math.min(...ys);
  let high = Math.max(...ys);
  if (good.length === 0) [low, high] = [0, 1];
  if (low === high) {
    low -= Math.abs(low) * 0.1 || 1;
    high += Math.abs(high) * 0.1 || 1;
  }
  const lines = ticks(low, high);
  const last = Math.max(props.rounds, ...good.map((p) => p.x), 2);
  const x = (round: number) => LEFT + ((round - 1) / (last - 1)) * (W - LEFT - 12);
  const y = (value: number) => 10 + (1 - (value - low) / (high - low)) * (H - BOTTOM - 16);
  let path = "";
  let pen = false;
  for (const point of props.points) {
    if (!Number.isFinite(point.y)) {
      pen = false;
      continue;
    }
    path += `${pen ? "L" : "M"}${x(point.x).toFixed(1)} ${y(point.y).toFixed(1)}`;
    pen = true;
  }
  const end = good.at(-1);
  const chosen = at === null ? undefined : good[at];
  const words = end
    ? t("{name} over {n} rounds: from {first} to {last}", {
        name: props.name,
        n: good.length,
        first: number(good[0]?.y),
        last: number(end.y),
      })
    : t("{name}: no numbers yet", { name: props.name });
  const nearest = (event: PointerEvent) => {
    const box = (event.currentTarget as SVGElement).getBoundingClientRect();
    const here = ((event.clientX - box.left) / box.width) * W;
    let best = 0;
    good.forEach((point, i) => {
      if (Math.abs(x(point.x) - here) < Math.abs(x(good[best]?.x ?? 0) - here)) best = i;
    });
    look(good.length ? best : null);
  };
  return (
    <figure class="curve">
      <figcaption>
        <span>{props.name}</span>
        <span class="value">
          {chosen ? t("round {n}: {value}", { n: chosen.x, value: number(chosen.y) }) : end ? number(end.y) : "–"}
        </span>
      </figcaption>
      <svg
        viewBox={`0 0 ${W} ${H}`}
        role="img"
        aria-label={words}
        onPointerMove={nearest}
        onPointerLeave={() => look(null)}
      >
        {lines.map((value) => (
          <g key={value}>
            <line class="grid" x1={LEFT} x2={W - 12} y1={y(value)} y2={y(value)} />
            <text class="axis" x={LEFT - 6} y={y(value) + 4} text-anchor="end">
              {number(value, 3)}
            </text>
          </g>
        ))}
        {ticks(1, last, 6)
          .filter(Number.isInteger)
          .map((round) => (
            <text class="axis" key={round} x={x(round)} y={H - 6} text-anchor="middle">
              {round}
            </text>
          ))}
        <path class="line" d={path} />
        {good
          .filter((point) => point.lost)
          .map((point) => (
            <circle class="lost" key={point.x} cx={x(point.x)} cy={y(point.y)} r="4.5">
              <title>{t("a member was lost in round {n}", { n: point.x })}</title>
            </circle>
          ))}
        {end && <circle class="end" cx={x(end.x)} cy={y(end.y)} r="3" />}
        {chosen && <line class="here" x1={x(chosen.x)} x2={x(chosen.x)} y1="6" y2={H - BOTTOM} />}
      </svg>
    </figure>
  );
}

/** Phases as their people call them. */
export function phaseName(phase: string): string {
  switch (phase) {
    case "Starting":
      return t("Starting");
    case "AdvertiseKeys":
      return t("Members join");
    case "ShareKeys":
      return t("Keys are shared");
    case "MaskedInput":
      return t("Members compute");
    case "Unmasking":
      return t("The sum is unmasked");
    case "Reduce":
      return t("The sum is used");
    case "Done":
      return t("Done");
    default:
      return phase;
  }
}

export const PHASES = ["AdvertiseKeys", "ShareKeys", "MaskedInput", "Unmasking", "Reduce"];

/** Where the time of one round went, as a bar whose length is its time. `most`: the longest round's seconds. */
export function Timeline(props: { spans: Span[]; total: number; most: number; name: (address: string) => string }) {
  let at = 0;
  const scale = 1000 / (props.most || 1);
  const words = props.spans.map((span) => `${phaseName(span.phase)} ${seconds(span.seconds)}`).join(", ");
  return (
    <svg
      class="timeline"
      viewBox="0 0 1000 14"
      preserveAspectRatio="none"
      role="img"
      aria-label={words || seconds(props.total)}
    >
      {props.spans.length === 0 && <rect class="phase-none" width={props.total * scale} height="14" />}
      {props.spans.map((span, i) => {
        const from = at;
        at += span.seconds * scale;
        const late = span.last.map(props.name).join(", ");
        return (
          <rect key={i} class={`phase-${span.phase}`} x={from} width={Math.max(1, span.seconds * scale)} height="14">
            <title>
              {phaseName(span.phase)}: {seconds(span.seconds)}
              {late && `; ${t("came last: {names}", { names: late })}`}
            </title>
          </rect>
        );
      })}
    </svg>
  );
}

export function Legend() {
  return (
    <ul class="legend">
      {PHASES.map((phase) => (
        <li key={phase}>
          <svg viewBox="0 0 10 10" aria-hidden="true">
            <rect class={`phase-${phase}`} width="10" height="10" rx="2" />
          </svg>
          {phaseName(phase)}
        </li>
      ))}
    </ul>
  );
}
