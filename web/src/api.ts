// The way to the node. The token stays in this tab: in sessionStorage, and in the Authorization header of calls to this very node.

const KEY = "delta-token";

export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export function token(): string | null {
  return sessionStorage.getItem(KEY);
}

export function keepToken(value: string | null): void {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

function head(more?: HeadersInit): Headers {
  const headers = new Headers(more);
  const shown = token();
  if (shown) headers.set("authorization", `Bearer ${shown}`);
  return headers;
}

/** What the node says in place of an answer, as one sentence. */
async function refusal(answer: Response): Promise<Refused> {
  let text = `HTTP ${answer.status}`;
  try {
    const detail = ((await answer.json()) as { detail?: unknown }).detail;
    if (typeof detail === "string") text = detail;
    else if (Array.isArray(detail)) text = detail.map((d) => `${(d?.loc ?? []).join(".")}: ${d?.msg}`).join("; ");
  } catch {
    // No JSON: the status has to do.
  }
  return new Refused(answer.status, text);
}

async function call(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, { ...init, headers: head(init.headers), cache: "no-store", redirect: "error" });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Refused(0, "");
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

export function query(path: string, values: Record<string, string | number | string[] | null | undefined>): string {
  const all = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (Array.isArray(value)) for (const one of value) all.append(name, one);
    else if (value !== null && value !== undefined && value !== "") all.set(name, String(value));
  }
  const text = all.toString();
  return text ? `${path}?${text}` : path;
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await call(path, signal ? { signal } : {})).json() as Promise<T>;
}

export async function bytes(path: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await (await call(path, signal ? { signal } : {})).arrayBuffer());
}

/** How long a file is, where the node says so; nothing of it is read. */
export async function open(path: string, signal?: AbortSignal): Promise<{ length: number; read: () => Promise<Blob> }> {
  const answer = await call(path, signal ? { signal } : {});
  return { length: Number(answer.headers.get("x-delta-length") ?? 0), read: () => answer.blob() };
}

export async function post<T>(path: string, body: unknown): Promise<T> {
  const init = { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  return (await call(path, init)).json() as Promise<T>;
}

export async function submit(file: File): Promise<{ task_id: number }> {
  const form = new FormData();
  form.set("file", file, file.name);
  return (await call("/v1/task", { method: "POST", body: form })).json() as Promise<{ task_id: number }>;
}

/** Reads server-sent events until they end. EventSource shows no token, so this is fetch. */
export async function events(
  path: string,
  signal: AbortSignal,
  heard: (event: string, data: unknown) => void,
  opened: () => void,
): Promise<void> {
  const answer = await call(path, { signal, headers: { accept: "text/event-stream" } });
  opened();
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (reader) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    let end = rest.indexOf("\n\n");
    while (end >= 0) {
      const block = rest.slice(0, end);
      rest = rest.slice(end + 2);
      let name = "";
      let data = "";
      for (const line of block.split("\n")) {
        if (line.startsWith("event: ")) name = line.slice(7);
        else if (line.startsWith("data: ")) data += line.slice(6);
      }
      if (name) heard(name, data ? JSON.parse(data) : null);
      end = rest.indexOf("\n\n");
    }
  }
}
