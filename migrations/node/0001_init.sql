-- The node's own tables. They carry the prefix dn_, because the original's tables may live in the same file.
-- Read and written by src/adapters/sqlite only. Never edited after a release: changes are new files.

-- One state machine that survives restarts; the snapshot is opaque and sealed by the app where it holds secrets.
CREATE TABLE dn_machines (
    kind     TEXT    NOT NULL,
    task     TEXT    NOT NULL,
    round    INTEGER NOT NULL,
    version  INTEGER NOT NULL CHECK (version >= 1),
    snapshot BLOB    NOT NULL,
    PRIMARY KEY (kind, task, round)
) STRICT;

-- Effects that a machine decided and has not done. They go when the machine goes.
CREATE TABLE dn_outbox (
    kind   TEXT    NOT NULL,
    task   TEXT    NOT NULL,
    round  INTEGER NOT NULL,
    id     INTEGER NOT NULL,
    effect BLOB    NOT NULL,
    PRIMARY KEY (kind, task, round, id),
    FOREIGN KEY (kind, task, round) REFERENCES dn_machines (kind, task, round) ON DELETE CASCADE
) STRICT;

-- Tasks that this node's users submitted. `status` has the numbers of the original's API.
CREATE TABLE dn_tasks (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at    INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    enable_verify INTEGER NOT NULL,
    creator       TEXT,
    task          TEXT UNIQUE,
    status        INTEGER NOT NULL,
    error         TEXT
) STRICT;
CREATE INDEX dn_tasks_status ON dn_tasks (status);

-- What happened to a task, in the order in which this node saw it.
CREATE TABLE dn_logs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER NOT NULL,
    task       TEXT    NOT NULL,
    level      INTEGER NOT NULL,
    message    TEXT    NOT NULL,
    tx_hash    TEXT
) STRICT;
CREATE INDEX dn_logs_task ON dn_logs (task, id);

CREATE TABLE dn_settings (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
