//! The record in SQLite: changes written as rows, rows read back as changes. No rule is decided here.
//!
//! One connection, and the file locked for this process alone: the record in memory must be the only one.

use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqlStr, SqliteConnection};

use super::{Durability, Location};
use delta_domain::connector_record::{
    BadChange, Change, NewTaskEntry, Record, RoundId, SecretKind, Status, UploadKind,
};
use delta_domain::task::TaskKind;
use delta_ports::{PortError, PortErrorKind};

const OP: &str = "connector.store";

#[derive(Debug)]
pub(super) struct Store {
    connection: SqliteConnection,
}

/// Every change of the tables so far, oldest first. A published one is never edited: databases remember its checksum.
fn migrations() -> Vec<Migration> {
    vec![Migration::new(
        1,
        "init".into(),
        MigrationType::Simple,
        SqlStr::from_static(include_str!("../../../migrations/connector/0001_init.sql")),
        false,
    )]
}

impl Store {
    pub(super) async fn open(
        location: &Location,
        durability: Durability,
    ) -> Result<Self, PortError> {
        let options = match location {
            Location::File(path) => SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true),
            Location::Memory => SqliteConnectOptions::new().in_memory(true),
        };
        let options = options
            .locking_mode(SqliteLockingMode::Exclusive)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(match durability {
                Durability::Process => SqliteSynchronous::Normal,
                Durability::PowerLoss => SqliteSynchronous::Full,
            })
            .busy_timeout(Duration::from_secs(1))
            .disable_statement_logging();
        let mut connection = SqliteConnection::connect_with(&options)
            .await
            .map_err(failed("the connector's record cannot be opened"))?;
        Migrator::with_migrations(migrations())
            .run(&mut connection)
            .await
            .map_err(|e| {
                PortError::new(
                    PortErrorKind::Corrupt,
                    OP,
                    "the connector's record is not of this version",
                )
                .with_source(e)
            })?;
        Ok(Self { connection })
    }

    pub(super) async fn close(self) {
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the connector's record did not close cleanly");
        }
    }

    pub(super) async fn begin(&mut self) -> Result<(), PortError> {
        self.run("BEGIN IMMEDIATE").await
    }

    pub(super) async fn commit(&mut self) -> Result<(), PortError> {
        self.run("COMMIT").await
    }

    pub(super) async fn roll_back(&mut self) {
        if let Err(error) = self.run("ROLLBACK").await {
            tracing::warn!(
                error = delta_ports::report(&error),
                "a transaction could not be rolled back"
            );
        }
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), PortError> {
        sqlx::query(sql)
            .execute(&mut self.connection)
            .await
            .map(drop)
            .map_err(failed("a transaction failed"))
    }

    /// Whether writing these changes is atomic without a transaction.
    pub(super) fn is_one_statement(changes: &[Change]) -> bool {
        matches!(changes, [change] if !matches!(change, Change::RoundStatus { .. }))
    }

    pub(super) async fn write(&mut self, change: &Change) -> Result<(), PortError> {
        let query = match change {
            Change::Node {
                id,
                url,
                name,
                address,
                alive_until,
            } => sqlx::query(PUT_NODE)
                .bind(row_id(*id)?)
                .bind(url)
                .bind(name)
                .bind(address)
                .bind(seconds(*alive_until)),
            Change::Data {
                owner,
                name,
                index,
                commitment,
            } => sqlx::query(PUT_DATA)
                .bind(owner)
                .bind(name)
                .bind(index)
                .bind(commitment),
            Change::Task { index, id, entry } => sqlx::query(ADD_TASK)
                .bind(row_id(*index)?)
                .bind(entry.kind.as_str())
                .bind(id)
                .bind(&entry.address)
                .bind(&entry.dataset)
                .bind(&entry.commitment)
                .bind(&entry.task_type)
                .bind(entry.enable_verify)
                .bind(entry.tolerance),
            Change::TaskFinished { index } => sqlx::query(FINISH_TASK).bind(row_id(*index)?),
            Change::Confirmed { index } => sqlx::query(CONFIRM_TASK).bind(row_id(*index)?),
            Change::Round {
                id,
                task,
                number,
                weight_commitment,
            } => sqlx::query(ADD_ROUND)
                .bind(row_id(*id)?)
                .bind(row_id(*task)?)
                .bind(number)
                .bind(weight_commitment),
            Change::RoundStatus {
                id,
                status,
                members,
            } => {
                if !members.is_empty() {
                    let places = json(members)?;
                    let query = sqlx::query(MOVE_MEMBERS)
                        .bind(status.code())
                        .bind(row_id(*id)?)
                        .bind(places);
                    query
                        .execute(&mut self.connection)
                        .await
                        .map_err(failed("members could not be stored"))?;
                }
                sqlx::query(MOVE_ROUND)
                    .bind(status.code())
                    .bind(row_id(*id)?)
            }
            Change::Member {
                round,
                address,
                status,
                pk1,
                pk2,
            } => sqlx::query(ADD_MEMBER)
                .bind(row_id(*round)?)
                .bind(address)
                .bind(status.code())
                .bind(pk1)
                .bind(pk2),
            Change::Result {
                round,
                member,
                commitment,
            } => sqlx::query(PUT_RESULT)
                .bind(commitment)
                .bind(row_id(*round)?)
                .bind(member),
            Change::Upload {
                round,
                kind,
                member,
                entries,
            } => sqlx::query(ADD_UPLOAD)
                .bind(row_id(*round)?)
                .bind(upload_text(*kind))
                .bind(member)
                .bind(json(entries)?),
            Change::Proof {
                task,
                member,
                valid,
            } => sqlx::query(PUT_PROOF)
                .bind(row_id(*task)?)
                .bind(member)
                .bind(valid),
        };
        query
            .execute(&mut self.connection)
            .await
            .map(drop)
            .map_err(failed("a change could not be stored"))
    }

    /// Everything but the rounds' bodies.
    pub(super) async fn load(&mut self) -> Result<Record, PortError> {
        let mut record = Record::default();
        let mut put = |change| record.apply(change).map_err(damaged);
        for row in self.rows(NODES).await? {
            let alive_until = u64::try_from(row.get::<i64, _>(4)).unwrap_or(0);
            put(Change::Node {
                id: place(&row, 0)?,
                url: text(&row, 1)?,
                name: text(&row, 2)?,
                address: text(&row, 3)?,
                alive_until,
            })?;
        }
        for row in self.rows(DATA).await? {
            put(Change::Data {
                owner: text(&row, 0)?,
                name: text(&row, 1)?,
                index: get(&row, 2)?,
                commitment: text(&row, 3)?,
            })?;
        }
        for row in self.rows(TASKS).await? {
            let index = place(&row, 0)?;
            let kind: TaskKind = text(&row, 1)?
                .parse()
                .map_err(|_| damaged(BadChange("unknown kind of task")))?;
            let entry = NewTaskEntry {
                kind,
                address: text(&row, 3)?,
                dataset: text(&row, 4)?,
                commitment: text(&row, 5)?,
                task_type: text(&row, 6)?,
                enable_verify: get(&row, 7)?,
                tolerance: get(&row, 8)?,
            };
            put(Change::Task {
                index,
                id: text(&row, 2)?,
                entry,
            })?;
            if get(&row, 9)? {
                put(Change::TaskFinished { index })?;
            }
            if get(&row, 10)? {
                put(Change::Confirmed { index })?;
            }
        }
        for row in self.rows(PROOFS).await? {
            put(Change::Proof {
                task: place(&row, 0)?,
                member: text(&row, 1)?,
                valid: get(&row, 2)?,
            })?;
        }
        let mut rounds = Vec::new();
        for row in self.rows(ROUNDS).await? {
            let id = place(&row, 0)?;
            put(Change::Round {
                id,
                task: place(&row, 1)?,
                number: get(&row, 2)?,
                weight_commitment: text(&row, 4)?,
            })?;
            put(Change::RoundStatus {
                id,
                status: status(&row, 3)?,
                members: Vec::new(),
            })?;
            rounds.push(id);
        }
        for id in rounds {
            record.drop_body(id);
        }
        Ok(record)
    }

    /// What restores the body of one round.
    pub(super) async fn body(&mut self, id: RoundId) -> Result<Vec<Change>, PortError> {
        let mut changes = Vec::new();
        let mut results = Vec::new();
        for row in self.rows_of(MEMBERS, id).await? {
            if let Some(commitment) = get::<Option<String>>(&row, 5)? {
                results.push(Change::Result {
                    round: id,
                    member: get(&row, 0)?,
                    commitment,
                });
            }
            let (address, status, pk1, pk2) = (
                text(&row, 1)?,
                status(&row, 2)?,
                text(&row, 3)?,
                text(&row, 4)?,
            );
            changes.push(Change::Member {
                round: id,
                address,
                status,
                pk1,
                pk2,
            });
        }
        changes.append(&mut results);
        for row in self.rows_of(UPLOADS, id).await? {
            let kind = upload_kind(&text(&row, 0)?)?;
            let entries = serde_json::from_str(&text(&row, 2)?)
                .map_err(|_| damaged(BadChange("undecodable upload")))?;
            changes.push(Change::Upload {
                round: id,
                kind,
                member: get(&row, 1)?,
                entries,
            });
        }
        Ok(changes)
    }

    #[cfg(test)]
    pub(super) async fn break_data_blocks(&mut self) {
        self.run("CREATE TRIGGER broken BEFORE INSERT ON data_block BEGIN SELECT RAISE(ABORT, 'broken'); END").await.unwrap();
    }

    async fn rows(&mut self, sql: &'static str) -> Result<Vec<SqliteRow>, PortError> {
        sqlx::query(sql)
            .fetch_all(&mut self.connection)
            .await
            .map_err(failed("the record could not be read"))
    }

    async fn rows_of(
        &mut self,
        sql: &'static str,
        id: RoundId,
    ) -> Result<Vec<SqliteRow>, PortError> {
        let query = sqlx::query(sql).bind(row_id(id)?);
        query
            .fetch_all(&mut self.connection)
            .await
            .map_err(failed("a round could not be read"))
    }
}

const PUT_NODE: &str = "INSERT INTO node (id, url, name, address, alive_until) VALUES (?1, ?2, ?3, ?4, ?5) \
     ON CONFLICT (id) DO UPDATE SET url = ?2, name = ?3, alive_until = ?5";
const PUT_DATA: &str = "INSERT INTO data_block (owner, name, block, commitment) VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT (owner, name, block) DO UPDATE SET commitment = ?4";
const ADD_TASK: &str = "INSERT INTO task (id, kind, task_id, owner, dataset, commitment, task_type, enable_verify, tolerance) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const FINISH_TASK: &str = "UPDATE task SET finished = 1 WHERE id = ?1";
const CONFIRM_TASK: &str = "UPDATE task SET confirmed = 1 WHERE id = ?1";
const ADD_ROUND: &str =
    "INSERT INTO round (id, task, number, weight_commitment) VALUES (?1, ?2, ?3, ?4)";
const MOVE_ROUND: &str = "UPDATE round SET status = ?1 WHERE id = ?2";
const MOVE_MEMBERS: &str =
    "UPDATE member SET status = ?1 WHERE round = ?2 AND place IN (SELECT value FROM json_each(?3))";
const ADD_MEMBER: &str = "INSERT INTO member (round, place, address, status, pk1, pk2) \
     VALUES (?1, (SELECT coalesce(max(place) + 1, 0) FROM member WHERE round = ?1), ?2, ?3, ?4, ?5)";
const PUT_RESULT: &str = "UPDATE member SET result = ?1 WHERE round = ?2 AND place = ?3";
const ADD_UPLOAD: &str =
    "INSERT INTO upload (round, kind, member, entries) VALUES (?1, ?2, ?3, ?4)";
const PUT_PROOF: &str = "INSERT INTO proof (task, member, valid) VALUES (?1, ?2, ?3)";

const NODES: &str = "SELECT id, url, name, address, alive_until FROM node ORDER BY id";
const DATA: &str = "SELECT owner, name, block, commitment FROM data_block";
const TASKS: &str = "SELECT id, kind, task_id, owner, dataset, commitment, task_type, enable_verify, tolerance, finished, confirmed \
     FROM task ORDER BY id";
const PROOFS: &str = "SELECT task, member, valid FROM proof";
const ROUNDS: &str = "SELECT id, task, number, status, weight_commitment FROM round ORDER BY id";
const MEMBERS: &str =
    "SELECT place, address, status, pk1, pk2, result FROM member WHERE round = ?1 ORDER BY place";
const UPLOADS: &str = "SELECT kind, member, entries FROM upload WHERE round = ?1 ORDER BY id";

fn upload_text(kind: UploadKind) -> &'static str {
    match kind {
        UploadKind::Commitment(SecretKind::Seed) => "seed_commitment",
        UploadKind::Commitment(SecretKind::SecretKey) => "secret_key_commitment",
        UploadKind::Share(SecretKind::Seed) => "seed",
        UploadKind::Share(SecretKind::SecretKey) => "secret_key",
    }
}

fn upload_kind(text: &str) -> Result<UploadKind, PortError> {
    Ok(match text {
        "seed_commitment" => UploadKind::Commitment(SecretKind::Seed),
        "secret_key_commitment" => UploadKind::Commitment(SecretKind::SecretKey),
        "seed" => UploadKind::Share(SecretKind::Seed),
        "secret_key" => UploadKind::Share(SecretKind::SecretKey),
        _ => return Err(damaged(BadChange("unknown kind of upload"))),
    })
}

fn row_id(index: usize) -> Result<i64, PortError> {
    i64::try_from(index).map_err(|_| damaged(BadChange("too many rows")))
}

fn seconds(unix: u64) -> i64 {
    i64::try_from(unix).unwrap_or(i64::MAX)
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, PortError> {
    serde_json::to_string(value).map_err(|e| {
        PortError::new(PortErrorKind::Internal, OP, "a list could not be encoded").with_source(e)
    })
}

fn get<'r, T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>>(
    row: &'r SqliteRow,
    column: usize,
) -> Result<T, PortError> {
    row.try_get(column).map_err(|e| {
        PortError::new(PortErrorKind::Corrupt, OP, "the record is damaged").with_source(e)
    })
}

fn text(row: &SqliteRow, column: usize) -> Result<String, PortError> {
    get(row, column)
}

fn place(row: &SqliteRow, column: usize) -> Result<usize, PortError> {
    usize::try_from(get::<i64>(row, column)?).map_err(|_| damaged(BadChange("negative row id")))
}

fn status(row: &SqliteRow, column: usize) -> Result<Status, PortError> {
    Status::from_code(get(row, column)?).ok_or_else(|| damaged(BadChange("unknown status")))
}

fn damaged(bad: BadChange) -> PortError {
    PortError::new(PortErrorKind::Corrupt, OP, "the record is damaged").with_source(bad)
}

fn failed(what: &'static str) -> impl FnOnce(sqlx::Error) -> PortError {
    move |error| {
        // SQLITE_FULL; everything else may pass.
        let full = error
            .as_database_error()
            .and_then(|e| e.code())
            .is_some_and(|code| code == "13");
        let kind = if full {
            PortErrorKind::Exhausted
        } else {
            PortErrorKind::Unavailable
        };
        PortError::new(kind, OP, what).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::migrations;

    /// What databases in the field have recorded: an edited migration would lock their owners out.
    #[test]
    fn published_migrations_have_the_checksums_that_databases_remember() {
        let published = [
            "a11af01906b192fd20d7899f47873e6f0985e964e7641c9ae700bf67fdb85c14310e7fa4579df7def2629861f7a962dd",
        ];
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let ours: Vec<String> = migrations().iter().map(|m| hex(&m.checksum)).collect();
        assert_eq!(ours, published);
    }
}
