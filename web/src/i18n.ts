// English is written where it stands; the other languages are looked up by it. tests/unit holds them complete.

import { zh } from "./zh";

export type Language = "en" | "zh";

const KEY = "delta-language";

function first(): Language {
  const kept = localStorage.getItem(KEY);
  if (kept === "en" || kept === "zh") return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

let language: Language = first();

export function currentLanguage(): Language {
  return language;
}

export function speak(other: Language): void {
  language = other;
  localStorage.setItem(KEY, other);
  document.documentElement.lang = other === "zh" ? "zh-Hans" : "en";
}

/** A sentence, with values for what stands in braces. */
export function t(text: string, values: Record<string, string | number> = {}): string {
  const said = language === "zh" ? (zh[text] ?? text) : text;
  return said.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** One of two sentences by a number, which is {n} in them. */
export function counted(n: number, one: string, many: string): string {
  return t(n === 1 ? one : many, { n: number(n) });
}

function locale(): string {
  return language === "zh" ? "zh-Hans" : "en-GB";
}

export function number(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString(locale());
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-4) return value.toExponential(digits - 1);
  return value.toLocaleString(locale(), { maximumSignificantDigits: digits });
}

/** Epsilon is rounded up, as the node does it. */
export function epsilon(value: number | null | undefined): string {
  if (value === null || value === undefined) return "∞";
  return (Math.ceil(value * 1000 - 1e-9) / 1000).toLocaleString(locale(), { maximumFractionDigits: 3 });
}

export function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let value = bytes;
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${value >= 100 || at === 0 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

export function seconds(value: number): string {
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  if (value < 60) return `${value < 10 ? value.toFixed(2) : value.toFixed(1)} s`;
  const whole = Math.round(value);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export function moment(at: number): string {
  return new Date(at).toLocaleString(locale(), { dateStyle: "medium", timeStyle: "medium" });
}

export function clock(at: number): string {
  return new Date(at).toLocaleTimeString(locale(), { hour12: false });
}

/** "3 minutes ago", "in 2 hours". */
export function ago(at: number, now: number): string {
  const format = new Intl.RelativeTimeFormat(locale(), { numeric: "auto", style: "short" });
  const apart = (at - now) / 1000;
  const far = Math.abs(apart);
  if (far < 45) return format.format(Math.round(apart), "second");
  if (far < 2700) return format.format(Math.round(apart / 60), "minute");
  if (far < 79200) return format.format(Math.round(apart / 3600), "hour");
  return format.format(Math.round(apart / 86400), "day");
}
