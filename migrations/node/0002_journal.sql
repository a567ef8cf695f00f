-- What happened to a machine since its snapshot, in the order of versions; opaque and sealed as the snapshot is. Entries go with it.
CREATE TABLE dn_journal (
    kind    TEXT    NOT NULL,
    task    TEXT    NOT NULL,
    round   INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 2),
    entry   BLOB    NOT NULL,
    PRIMARY KEY (kind, task, round, version),
    FOREIGN KEY (kind, task, round) REFERENCES dn_machines (kind, task, round) ON DELETE CASCADE
) STRICT;
