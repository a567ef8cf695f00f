// What pages share: words, session, answers that are asked for, and what the node tells by itself.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { events, get, query, Refused } from "./api";
import { t } from "./i18n";

/** A value that several components look at. */
export class Shared<T> {
  private readonly watchers = new Set<(value: T) => void>();
  constructor(private held: T) {}
  get(): T {
    return this.held;
  }
  set(value: T): void {
    this.held = value;
    for (const watcher of this.watchers) watcher(value);
  }
  watch(watcher: (value: T) => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }
}

export function useShared<T>(shared: Shared<T>): T {
  const [value, set] = useState(shared.get());
  useEffect(() => {
    set(shared.get());
    return shared.watch(set);
  }, [shared]);
  return value;
}

/** The sign-in is asked for anew. */
export const signedOut = new Shared<string | null>(null);

/** In words what went wrong. */
export function told(error: unknown): string {
  if (error instanceof Refused) return error.status === 0 ? t("The node cannot be reached.") : error.message;
  return error instanceof Error ? error.message : String(error);
}

export interface Answer<T> {
  value: T | null;
  error: string | null;
  /** Asks again; what is there stays until the answer comes. */
  again: () => void;
}

/** Asks the node. `path` null: nothing yet. */
export function useAnswer<T>(path: string | null): Answer<T> {
  const [state, set] = useState<{ path: string | null; value: T | null; error: string | null }>({
    path: null,
    value: null,
    error: null,
  });
  const [turn, next] = useState(0);
  // `turn` is how it is asked again.
  useEffect(() => {
    if (path === null) return;
    const stop = new AbortController();
    get<T>(path, stop.signal).then(
      (value) => set({ path, value, error: null }),
      (error) => {
        if (stop.signal.aborted) return;
        if (error instanceof Refused && error.status === 401) signedOut.set(error.message);
        set((before) => ({ path, value: before.path === path ? before.value : null, error: told(error) }));
      },
    );
    return () => stop.abort();
  }, [path, turn]);
  const again = useCallback(() => next((n) => n + 1), []);
  const here = state.path === path;
  return { value: here ? state.value : null, error: here ? state.error : null, again };
}

export type Line = { state: "closed" | "open" } | { state: "away"; until: number };

/** Whether the node tells what changes. */
export const line = new Shared<Line>({ state: "closed" });

/** Hears what changes for as long as the page is there. `from`: where the stream goes on after it broke off. */
export function useEvents(
  heard: (event: string, data: unknown) => void,
  from?: () => Record<string, number>,
  key = "",
): void {
  const now = useRef(heard);
  now.current = heard;
  const start = useRef(from);
  start.current = from;
  // Another key is another stream.
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let pause = 1000;
    let first = true;
    const connect = () => {
      const path = query("/v1/board/events", start.current?.() ?? {});
      const opened = () => {
        line.set({ state: "open" });
        pause = 1000;
        // What happened in between.
        if (!first) now.current("again", null);
        first = false;
      };
      const over = () => {
        if (stop.signal.aborted) return;
        line.set({ state: "away", until: Date.now() + pause });
        timer = setTimeout(connect, pause);
        pause = Math.min(pause * 2, 30_000);
      };
      events(path, stop.signal, (name, data) => now.current(name, data), opened).then(over, over);
    };
    connect();
    return () => {
      stop.abort();
      clearTimeout(timer);
      line.set({ state: "closed" });
    };
  }, [key]);
}

/** Calls at most once in a while, and once more at the end. */
export function useThrottled(call: () => void, pause: number): () => void {
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const held = useRef(call);
  held.current = call;
  useEffect(() => () => clearTimeout(timer.current ?? undefined), []);
  return useCallback(() => {
    timer.current ??= setTimeout(() => {
      timer.current = null;
      held.current();
    }, pause);
  }, [pause]);
}

/** The time, every so often: for words like "3 min ago". */
export function useNow(every = 1000): number {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => set(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

export function go(hash: string): void {
  location.hash = hash;
}
