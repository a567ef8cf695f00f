// What the node answers (docs/protocol/http.md). Every text in it may be a stranger's: it is shown, never read as markup.

export type Scope = "submit" | "result" | "read" | "approve" | "admin" | "metrics";

export interface Session {
  scopes: Scope[];
  refused: string | null;
  version: string;
}

export type Status = "PENDING" | "RUNNING" | "FINISHED" | "ERROR" | "CONFIRMED";

export interface Task {
  id: number;
  created_at: number;
  name: string;
  type: "horizontal" | "hlr";
  creator: string;
  status: Status;
}

export interface FoundTask extends Task {
  task_id: string | null;
  author: string | null;
  error: string | null;
}

export interface Matches {
  tasks: FoundTask[];
  counts: { status: Status; count: number }[];
}

export interface Span {
  phase: string;
  seconds: number;
  last: string[];
}

export interface Report {
  round: number;
  seconds: number;
  members: number;
  dropped: number;
  failed: number;
  error: string | null;
  metrics: Record<string, number | null>;
  who: string[];
  lost: string[];
  phases: Span[];
}

export interface Progress {
  status: Status;
  round: number;
  rounds: number;
  phase: string;
  waits_for: string | null;
  asks_owner: string[];
  until: number | null;
  number: number;
  since: number | null;
  phases: Span[];
  error: string | null;
  history: Report[];
}

export interface Manifest {
  name: string;
  description?: string;
  datasets?: Record<string, unknown>;
  strategy?: Record<string, unknown>;
  variables?: Record<string, { location: string; dtype: string; shape: number[] }>;
  rounds?: { repeat?: number; map?: { contribute?: { name: string; dtype: string; shape: number[] }[] } }[];
  outputs?: string[];
}

export interface TaskPage extends Task {
  task_id: string | null;
  author: string | null;
  progress: Progress;
  manifest: Manifest | null;
  disclosure: string[];
  graphs: Record<string, number>;
  unread: string | null;
}

export interface LogLine {
  id: number;
  created_at: number;
  message: string;
  tx_hash: string | null;
}

export interface Finding {
  rule: string;
  says: string;
  dataset?: string;
  why: string;
}

export interface Asked {
  task: string;
  name: string;
  author: string;
  kind: string;
  class: string;
  reads: Record<string, string[]>;
  rounds: number;
  outputs: number;
  question: string;
  decision: string;
  rules: string[];
  findings: Finding[];
  unproven: string[];
  disclosure: string[];
  waits: boolean;
  asked_at: number;
  until: number;
}

export interface Who {
  name?: string | null;
  organisation?: string | null;
  node?: string | null;
  own?: boolean;
}

export interface Decision {
  id: string;
  author: Who;
  question: string;
  scope: unknown;
  decision: string;
  decided_at: number;
  decided_with: string;
  revoked: number | null;
}

export interface Approvals {
  tasks: Asked[];
  decisions: Decision[];
}

export interface Prospect {
  dataset: string;
  budget: number | null;
  delta: number;
  before: number | null;
  after_round: number | null;
  after_all: number | null;
}

export interface Question {
  manifest: Manifest | null;
  graphs: Record<string, number>;
  prospects: Prospect[];
  unread: string | null;
}

export interface JournalLine {
  number: number;
  at: number;
  event: { what: string } & Record<string, unknown>;
}

export interface Journal {
  earlier: number;
  lines: JournalLine[];
}

export interface DatasetEntry {
  name: string;
  description: string;
  usable: boolean;
  rules: boolean;
  approval: string;
  published: boolean;
}

export interface DatasetView {
  columns: { name: string; type: string | null; role: string | null }[] | null;
  unread: string | null;
  policy: Record<string, unknown>;
  ruled: boolean;
  in_use: boolean;
}

export interface Epsilons {
  nobody: number | null;
  colluding: number | null;
  alone: number | null;
}

export interface Ledger {
  dataset: string;
  budget: { epsilon: number; delta: number; renew: string } | null;
  delta: number;
  spent: Epsilons;
  committed: Epsilons;
  lifetime: Epsilons;
  open: number;
  reserved: { at: number; purpose: string; epsilons: Epsilons }[];
  charges: { at: number; purpose: string; epsilons: Epsilons }[];
}

export interface KnownNode {
  address: string;
  name: string;
  url: string;
  own: boolean;
  trust: string;
  vouched: boolean;
  organisation: string | null;
  fingerprint: string | null;
  card_until: number | null;
  tls: boolean;
  seen: boolean | null;
}

export interface Network {
  nodes: KnownNode[];
  total: number;
  anchored: boolean;
}

export interface NodeStatus {
  version: string;
  address: string | null;
  name: string;
  url: string;
  organisation: string;
  fingerprint: string;
  since: number;
  runtime: string;
  room: number | null;
  tasks: number;
  most_tasks: number;
  followed: number;
  waiting: number;
  connector_away: number | null;
  checks: { name: string; ok: boolean; detail: string }[];
}

export interface Vitals {
  queues: { workers: number; connector: number; log: number };
  workers: { running: number; limit: number };
  memory: number;
}

export interface CheckResult {
  findings: { level: "ok" | "warn" | "fail"; name: string; detail: string }[];
}
