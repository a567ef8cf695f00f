//! The record in SQLite: changes written as rows, rows read back as changes. No rule is decided here.
//!
//! One connection, and the file locked for this process alone: the record in memory must be the only one.

mod load;
mod queries;
mod rows;
mod write;

use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, SqlStr, SqliteConnection};

use super::options::{Durability, RecordFile};
use delta_domain::connector_record::{Change, ChangeError, RoundId};
use delta_ports::{PortError, PortErrorKind};

const OP: &str = "connector.store";

#[derive(Debug)]
pub(super) struct Store {
    connection: SqliteConnection,
}

/// Every change of the tables so far, oldest first. A published one is never edited: databases remember its checksum.
fn migrations() -> Vec<Migration> {
    let sources = [
        (
            1,
            "init",
            include_str!("../../../migrations/connector/0001_init.sql"),
        ),
        (
            2,
            "touched",
            include_str!("../../../migrations/connector/0002_touched.sql"),
        ),
    ];
    sources
        .into_iter()
        .map(|(version, name, sql)| {
            Migration::new(
                version,
                name.into(),
                MigrationType::Simple,
                SqlStr::from_static(sql),
                false,
            )
        })
        .collect()
}

impl Store {
    pub(super) async fn open(file: &RecordFile, durability: Durability) -> Result<Self, PortError> {
        let options = match file {
            RecordFile::OnDisk(path) => SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true),
            RecordFile::InMemory => SqliteConnectOptions::new().in_memory(true),
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
        matches!(changes, [change] if !matches!(
            change,
            Change::RoundStatus { .. } | Change::Round { .. } | Change::TaskGone { .. }
        ))
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
        let query = sqlx::query(sql).bind(rows::row_id(id)?);
        query
            .fetch_all(&mut self.connection)
            .await
            .map_err(failed("a round could not be read"))
    }
}

fn damaged(bad: ChangeError) -> PortError {
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
            "e2df10cc71b68e58b0db02e38eba67f604bfe1c042b6f8e83922a69e010da1a4437a5a44d66a91475f243f000faf34fc",
        ];
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let ours: Vec<String> = migrations().iter().map(|m| hex(&m.checksum)).collect();
        assert_eq!(ours, published);
    }
}
