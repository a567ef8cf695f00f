//! Every SQL statement of the node's database, in one place. The tables are in `migrations/node/`.

pub(super) const MACHINE_VERSION: &str =
    "SELECT version FROM dn_machines WHERE kind = ?1 AND task = ?2 AND round = ?3";

pub(super) const MACHINE_PUT: &str = "INSERT INTO dn_machines (kind, task, round, version, snapshot) VALUES (?1, ?2, ?3, ?4, ?5) \
     ON CONFLICT (kind, task, round) DO UPDATE SET version = excluded.version, snapshot = excluded.snapshot";

pub(super) const MACHINE_MOVE: &str =
    "UPDATE dn_machines SET version = ?4 WHERE kind = ?1 AND task = ?2 AND round = ?3";

pub(super) const JOURNAL_PUT: &str =
    "INSERT INTO dn_journal (kind, task, round, version, entry) VALUES (?1, ?2, ?3, ?4, ?5)";

pub(super) const JOURNAL_CLEAR: &str =
    "DELETE FROM dn_journal WHERE kind = ?1 AND task = ?2 AND round = ?3";

pub(super) const JOURNAL_GET: &str = "SELECT task, round, version, entry FROM dn_journal WHERE kind = ?1 AND task = ?2 AND round = ?3 ORDER BY version";

pub(super) const JOURNAL_LIST: &str = "SELECT task, round, version, entry FROM dn_journal WHERE kind = ?1 ORDER BY task, round, version";

/// Journal and outbox go with it: `ON DELETE CASCADE`.
pub(super) const MACHINE_DELETE: &str =
    "DELETE FROM dn_machines WHERE kind = ?1 AND task = ?2 AND round = ?3";

pub(super) const MACHINE_GET: &str = "SELECT task, round, version, snapshot FROM dn_machines WHERE kind = ?1 AND task = ?2 AND round = ?3";

pub(super) const MACHINE_LIST: &str =
    "SELECT task, round, version, snapshot FROM dn_machines WHERE kind = ?1 ORDER BY task, round";

pub(super) const OUTBOX_PUT: &str =
    "INSERT INTO dn_outbox (kind, task, round, id, effect) VALUES (?1, ?2, ?3, ?4, ?5)";

pub(super) const OUTBOX_DONE: &str =
    "DELETE FROM dn_outbox WHERE kind = ?1 AND task = ?2 AND round = ?3 AND id = ?4";

pub(super) const OUTBOX_GET: &str = "SELECT task, round, id, effect FROM dn_outbox WHERE kind = ?1 AND task = ?2 AND round = ?3 ORDER BY id";

pub(super) const OUTBOX_LIST: &str =
    "SELECT task, round, id, effect FROM dn_outbox WHERE kind = ?1 ORDER BY task, round, id";

pub(super) const TASK_INSERT: &str = "INSERT INTO dn_tasks (created_at, name, kind, enable_verify, author, status) VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id";

pub(super) const TASK_UPDATE: &str = "UPDATE dn_tasks SET creator = COALESCE(?2, creator), task = COALESCE(?3, task), \
     status = COALESCE(?4, status), error = COALESCE(?5, error) WHERE id = ?1";

pub(super) const TASK_GET: &str = "SELECT id, created_at, name, kind, enable_verify, author, creator, task, status, error FROM dn_tasks WHERE id = ?1";

pub(super) const TASK_BY_NETWORK_ID: &str = "SELECT id, created_at, name, kind, enable_verify, author, creator, task, status, error FROM dn_tasks WHERE task = ?1";

pub(super) const TASK_COUNT: &str = "SELECT COUNT(*) FROM dn_tasks";

pub(super) const TASK_PAGE_ASCENDING: &str = "SELECT id, created_at, name, kind, enable_verify, author, creator, task, status, error FROM dn_tasks ORDER BY id LIMIT ?1 OFFSET ?2";

pub(super) const TASK_PAGE_DESCENDING: &str = "SELECT id, created_at, name, kind, enable_verify, author, creator, task, status, error FROM dn_tasks ORDER BY id DESC LIMIT ?1 OFFSET ?2";

/// ?1: the text as it was typed, ?2: the same as a pattern, ?3: a kind or null, ?4: the first id that is too large, ?5: a JSON list of statuses.
pub(super) const TASK_FIND: &str = "SELECT id, created_at, name, kind, enable_verify, author, creator, task, status, error FROM dn_tasks \
     WHERE (?1 = '' OR name LIKE ?2 ESCAPE '!' OR author LIKE ?2 ESCAPE '!' OR task LIKE ?2 ESCAPE '!' OR CAST(id AS TEXT) = ?1) \
     AND (?3 IS NULL OR kind = ?3) AND id < ?4 AND status IN (SELECT value FROM json_each(?5)) ORDER BY id DESC LIMIT ?6";

/// ?1 to ?3 as above.
pub(super) const TASK_FIND_COUNTS: &str = "SELECT status, COUNT(*) FROM dn_tasks \
     WHERE (?1 = '' OR name LIKE ?2 ESCAPE '!' OR author LIKE ?2 ESCAPE '!' OR task LIKE ?2 ESCAPE '!' OR CAST(id AS TEXT) = ?1) \
     AND (?3 IS NULL OR kind = ?3) GROUP BY status ORDER BY status";

/// ?1 and ?2: the numbers of PENDING and RUNNING.
pub(super) const TASK_UNFINISHED: &str = "SELECT id, created_at, name, kind, enable_verify, author, creator, task, status, error FROM dn_tasks \
     WHERE status IN (?1, ?2) ORDER BY id";

pub(super) const LOG_INSERT: &str =
    "INSERT INTO dn_logs (created_at, task, level, message, tx_hash) VALUES (?1, ?2, ?3, ?4, ?5)";

pub(super) const LOG_PAGE: &str = "SELECT id, created_at, task, level, message, tx_hash FROM dn_logs WHERE task = ?1 AND id >= ?2 ORDER BY id LIMIT ?3";

pub(super) const SETTING_GET: &str = "SELECT value FROM dn_settings WHERE name = ?1";

pub(super) const SETTINGS_UNDER: &str =
    "SELECT name, value FROM dn_settings WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name";

pub(super) const SETTING_PUT: &str = "INSERT INTO dn_settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";

pub(super) const IDENTITY_GET: &str = "SELECT address, document, changed, first_seen, last_seen FROM dn_identities WHERE address = ?1";

pub(super) const IDENTITY_LIST: &str = "SELECT address, document, changed, first_seen, last_seen FROM dn_identities ORDER BY address LIMIT ?1";

/// ?6: the most there may be. `WHERE` keeps SQLite from reading `ON CONFLICT` as part of the join.
pub(super) const IDENTITY_PUT: &str = "INSERT INTO dn_identities (address, document, changed, first_seen, last_seen) \
     SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM dn_identities WHERE address = ?1) OR (SELECT COUNT(*) FROM dn_identities) < ?6 \
     ON CONFLICT (address) DO UPDATE SET document = excluded.document, changed = excluded.changed, first_seen = excluded.first_seen, \
     last_seen = excluded.last_seen";

/// ?1: a JSON list of addresses that stay.
pub(super) const IDENTITY_GO: &str = "DELETE FROM dn_identities WHERE address = (SELECT address FROM dn_identities \
     WHERE address NOT IN (SELECT value FROM json_each(?1)) ORDER BY last_seen, address LIMIT 1) RETURNING address";

/// Moves the write-ahead log into the database file and empties it, so that deleted content is in neither.
pub(super) const CHECKPOINT: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
