//! Datasets that are answers of databases: PostgreSQL, MySQL and MariaDB, SQLite files.
//!
//! One module a kind of database turns what it answers into cells (`cell.rs`); `file.rs` keeps them as Parquet, column by column, and a
//! batch at a time; `keeping.rs` is what a file of answers may replace, and when.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::cast_possible_truncation,
        clippy::print_stderr
    )
)]

mod cell;
mod failure;
mod file;
mod keeping;
mod mysql;
mod postgres;
mod secret;
mod sqlite;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::ConnectOptions;
use tokio::time::{Instant, timeout, timeout_at};

use delta_domain::ids::DatasetName;
use delta_domain::query::{Engine, Query, Server};
use delta_ports::PortError;
use delta_ports::snapshots::{Kept, MayReplace, Snapshot, Snapshots};
use failure::Failure;
use file::Answer;
use keeping::Place;

/// How long it may take until a database has let this node in.
const CONNECT: Duration = Duration::from_secs(20);

/// The databases of an owner, and the folder in which their answers are kept.
#[derive(Debug, Clone)]
pub struct Databases {
    data_dir: PathBuf,
}

impl Databases {
    /// Answers are kept in `data_dir`, under the names of their datasets.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self { data_dir }
    }

    async fn taken(
        &self,
        name: &DatasetName,
        query: &Query,
        may_replace: MayReplace<'_>,
    ) -> Result<Snapshot, Failure> {
        let until = Instant::now() + query.timeout;
        let place = Place::claim(&self.data_dir, name, until).await?;
        let answer = Answer::begin(place.part()?, query);
        let asked = timeout_at(until, ask(query, answer, until)).await;
        let whole = asked.map_err(|_| Failure::slow(query.timeout))??;
        place.keep(whole, may_replace).await
    }

    /// Looks at the file of a dataset, off the async threads.
    async fn looking<T: Send + 'static>(
        &self,
        name: &DatasetName,
        look: impl FnOnce(PathBuf) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, PortError> {
        let path = self.data_dir.join(name.as_str());
        let looked = tokio::task::spawn_blocking(move || look(path)).await;
        let looked = looked.unwrap_or_else(|_| Err(Failure::internal("looking at it broke off")));
        looked.map_err(|failure| failure.into_port_of_file(name))
    }
}

/// Asks the database for everything.
async fn ask(query: &Query, answer: Answer, until: Instant) -> Result<file::Whole, Failure> {
    match &query.server {
        Server::File(path) => sqlite::ask(path, query, answer, until).await,
        Server::Network(server) => match server.engine {
            Engine::Postgres => postgres::ask(server, query, answer).await,
            Engine::MySql => mysql::ask(server, query, answer).await,
        },
    }
}

/// Waits until a server has let this node in.
async fn connected<O: ConnectOptions<Connection: Sized>>(
    options: &O,
) -> Result<O::Connection, Failure> {
    match timeout(CONNECT, options.connect()).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(Failure::unreachable(format!(
            "it did not answer within {} s",
            CONNECT.as_secs()
        ))),
    }
}

#[async_trait]
impl Snapshots for Databases {
    async fn take(
        &self,
        name: &DatasetName,
        query: &Query,
        may_replace: MayReplace<'_>,
    ) -> Result<Snapshot, PortError> {
        let taken = self.taken(name, query, may_replace).await;
        taken.map_err(|failure| failure.into_port(name, query))
    }

    async fn kept(&self, name: &DatasetName, query: &Query) -> Result<Kept, PortError> {
        let query = query.clone();
        self.looking(name, move |path| keeping::kept(&path, &query))
            .await
    }

    async fn withdraw(&self, name: &DatasetName, query: &Query) -> Result<(), PortError> {
        // Who has it now asks for an answer; the next look sees to which query.
        let place = Place::claim(&self.data_dir, name, Instant::now()).await;
        let place = place.map_err(|failure| failure.into_port_of_file(name))?;
        let query = query.clone();
        self.looking(name, move |_| place.withdraw(&query)).await
    }
}
