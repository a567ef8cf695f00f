-- The embedded connector's record (src/domain/connector_record). Rows are never deleted; ids count from 0 without gaps.

CREATE TABLE node (
    id          INTEGER PRIMARY KEY,
    url         TEXT NOT NULL,
    name        TEXT NOT NULL,
    address     TEXT NOT NULL,
    alive_until INTEGER NOT NULL -- unix seconds
);

CREATE TABLE data_block (
    owner      TEXT NOT NULL,
    name       TEXT NOT NULL,
    block      INTEGER NOT NULL,
    commitment TEXT NOT NULL,
    PRIMARY KEY (owner, name, block)
) WITHOUT ROWID;

CREATE TABLE task (
    id            INTEGER PRIMARY KEY,
    kind          TEXT NOT NULL CHECK (kind IN ('horizontal', 'hlr')),
    task_id       TEXT NOT NULL,
    owner         TEXT NOT NULL,
    dataset       TEXT NOT NULL,
    commitment    TEXT NOT NULL,
    task_type     TEXT NOT NULL,
    enable_verify INTEGER NOT NULL,
    tolerance     INTEGER NOT NULL,
    finished      INTEGER NOT NULL DEFAULT 0,
    confirmed     INTEGER NOT NULL DEFAULT 0,
    UNIQUE (kind, task_id)
);

CREATE TABLE round (
    id                INTEGER PRIMARY KEY,
    task              INTEGER NOT NULL REFERENCES task (id),
    number            INTEGER NOT NULL,
    status            INTEGER NOT NULL DEFAULT 0,
    weight_commitment TEXT NOT NULL,
    UNIQUE (task, number)
);

CREATE TABLE member (
    round   INTEGER NOT NULL REFERENCES round (id),
    place   INTEGER NOT NULL, -- in join order, from 0
    address TEXT NOT NULL,
    status  INTEGER NOT NULL,
    pk1     TEXT NOT NULL,
    pk2     TEXT NOT NULL,
    result  TEXT, -- commitment of the masked result
    PRIMARY KEY (round, place)
) WITHOUT ROWID;

-- One row a call, not one a pair: n members upload 2n commitments lists of n entries.
CREATE TABLE upload (
    id      INTEGER PRIMARY KEY,
    round   INTEGER NOT NULL REFERENCES round (id),
    kind    TEXT NOT NULL CHECK (kind IN ('seed_commitment', 'secret_key_commitment', 'seed', 'secret_key')),
    member  INTEGER NOT NULL, -- place of the uploader: the sender of commitments, the receiver of shares
    entries TEXT NOT NULL     -- JSON: [[place of the other member, text], ...]
);

CREATE INDEX upload_of_round ON upload (round, id);

CREATE TABLE proof (
    task   INTEGER NOT NULL REFERENCES task (id),
    member TEXT NOT NULL,
    valid  INTEGER NOT NULL,
    PRIMARY KEY (task, member)
) WITHOUT ROWID;
