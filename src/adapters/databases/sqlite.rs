//! SQLite files: read twice in one transaction, since only its cells say what a column is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement};
use tokio::time::Instant;

use delta_domain::query::Query;

use crate::cell::{Cell, Head, Kind};
use crate::failure::Failure;
use crate::file::{Answer, Rows, Whole};

/// How long another program may keep the file from being read, and how long SQLite waits at a time.
const BUSY: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_millis(200);
/// Steps of SQLite's machine between two looks whether anybody still waits.
const STEPS: i32 = 10_000;
/// Longest text or bytes of anything that it reads.
const LONGEST: i32 = 64 << 20;
/// Whole numbers up to here are doubles.
const EXACT: i64 = 1 << 53;
/// Nothing of the file is run but the query's own.
const READ_ONLY: &str =
    "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; BEGIN";

pub(crate) async fn ask(
    path: &Path,
    query: &Query,
    answer: Answer,
    until: Instant,
) -> Result<Whole, Failure> {
    let given_up = GivenUp::default();
    let database = opened(path.to_owned(), given_up.0.clone()).await?;
    let (sql, nobody_waits) = (query.sql.clone(), given_up.0.clone());
    let asked = tokio::task::spawn_blocking(move || {
        shared(&database, &nobody_waits)?;
        all(&database, &sql, answer)
    });
    // Dropped with this future, too: what nobody waits for ends by itself.
    let rows = tokio::time::timeout_at(until, asked).await;
    let rows = rows.map_err(|_| Failure::slow(query.timeout))?;
    let rows = rows.map_err(|_| Failure::internal("reading the database broke off"))??;
    drop(given_up);
    rows.finish().await
}

/// Says to the thread that reads that nobody waits for it.
#[derive(Default)]
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn opened(path: PathBuf, given_up: Arc<AtomicBool>) -> Result<Connection, Failure> {
    let open = move || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(path, flags)?;
        database.busy_timeout(PATIENCE)?;
        database.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST)?;
        database.progress_handler(STEPS, Some(move || given_up.load(Ordering::Relaxed)))?;
        database.execute_batch(READ_ONLY)?;
        Ok::<_, rusqlite::Error>(database)
    };
    match tokio::task::spawn_blocking(open).await {
        Ok(opened) => opened.map_err(|e| said(&e)),
        Err(_) => Err(Failure::internal("opening the database broke off")),
    }
}

/// Waits until the file can be read: from then on it is as it was then.
fn shared(database: &Connection, given_up: &AtomicBool) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        // The first thing that a transaction reads takes the lock.
        let looked = database.query_row("SELECT 1 FROM sqlite_schema LIMIT 1", [], |_| Ok(()));
        match looked {
            Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(()),
            Err(e) if !is_busy(&e) || begun.elapsed() >= BUSY => return Err(said(&e)),
            // The handler of progress is not asked while SQLite waits.
            Err(_) if given_up.load(Ordering::Relaxed) => {
                return Err(Failure::internal("nobody waits any more"));
            }
            Err(_) => {}
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

fn all(database: &Connection, sql: &str, answer: Answer) -> Result<Rows, Failure> {
    let mut statement = database.prepare(sql).map_err(|e| said(&e))?;
    if !statement.readonly() || statement.column_count() == 0 {
        return Err(Failure::rejected("the query must read, and nothing else"));
    }
    let heads = heads(&mut statement)?;
    let mut rows = answer.of(heads)?;
    each(&mut statement, |cells| {
        for (place, value) in cells.enumerate() {
            let kind = rows.heads().get(place).map_or(Kind::Text, |head| head.kind);
            let mut text = String::new();
            let cell = cell(kind, value?, &mut text).map_err(|what| rows.wrong(place, what))?;
            rows.cell(cell)?;
        }
        rows.end_row_blocking()
    })?;
    Ok(rows)
}

/// Shows each row's cells.
fn each(
    statement: &mut Statement<'_>,
    mut show: impl FnMut(&mut dyn Iterator<Item = Result<ValueRef<'_>, Failure>>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let width = statement.column_count();
    let mut rows = statement.query([]).map_err(|e| said(&e))?;
    while let Some(row) = rows.next().map_err(|e| said(&e))? {
        let mut cells = (0..width).map(|at| row.get_ref(at).map_err(|e| said(&e)));
        show(&mut cells)?;
    }
    Ok(())
}

/// What has been seen of a column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    whole: bool,
    /// A whole number that no double is.
    large: bool,
    real: bool,
    text: bool,
    bytes: bool,
}

impl Seen {
    fn see(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => {}
            ValueRef::Integer(n) => {
                self.whole = true;
                self.large |= !(-EXACT..=EXACT).contains(&n);
            }
            ValueRef::Real(_) => self.real = true,
            ValueRef::Text(_) => self.text = true,
            ValueRef::Blob(_) => self.bytes = true,
        }
    }

    /// What all of it is, or why that is nothing.
    fn kind(self) -> Result<Kind, &'static str> {
        match self {
            Self { bytes: true, .. } => Err("has bytes in it: leave it out"),
            Self { text: true, .. } => Ok(Kind::Text),
            Self {
                real: true,
                large: true,
                ..
            } => Err("has fractions, and whole numbers that a double does not hold: CAST it"),
            Self { real: true, .. } => Ok(Kind::Double),
            Self { whole: true, .. } => Ok(Kind::Whole),
            Self { .. } => Ok(Kind::Text),
        }
    }
}

fn heads(statement: &mut Statement<'_>) -> Result<Vec<Head>, Failure> {
    let names: Vec<String> = statement
        .column_names()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut seen = vec![Seen::default(); names.len()];
    each(statement, |cells| {
        for (seen, value) in seen.iter_mut().zip(cells) {
            seen.see(value?);
        }
        Ok(())
    })?;
    let head = |(name, seen): (String, Seen)| match seen.kind() {
        Ok(kind) => Ok(Head { name, kind }),
        Err(what) => Err(Failure::rejected(format!("column {name:?} {what}"))),
    };
    names.into_iter().zip(seen).map(head).collect()
}

/// A cell as one of its column. `text`: room for one that is written here.
fn cell<'c>(kind: Kind, value: ValueRef<'c>, text: &'c mut String) -> Result<Cell<'c>, String> {
    Ok(match (kind, value) {
        (_, ValueRef::Null) => Cell::Missing,
        (Kind::Whole, ValueRef::Integer(n)) => Cell::Whole(n),
        (Kind::Double, ValueRef::Integer(n)) => Cell::Double(exactly(n)),
        (Kind::Double, ValueRef::Real(x)) => Cell::Double(x),
        (_, ValueRef::Integer(n)) => {
            *text = n.to_string();
            Cell::Text(text)
        }
        (_, ValueRef::Real(x)) => {
            *text = x.to_string();
            Cell::Text(text)
        }
        (_, ValueRef::Text(bytes)) => {
            Cell::Text(std::str::from_utf8(bytes).map_err(|_| "it is no text in UTF-8".to_owned())?)
        }
        (_, ValueRef::Blob(_)) => return Err("it is bytes".to_owned()),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "columns with larger ones are refused before"
)]
fn exactly(n: i64) -> f64 {
    n as f64
}

fn said(error: &rusqlite::Error) -> Failure {
    match error.sqlite_error_code() {
        _ if is_busy(error) => Failure::unreachable("another program keeps it from being read"),
        Some(ErrorCode::CannotOpen) => {
            Failure::unreachable("it cannot be opened: is it there, and may this node read it?")
        }
        _ => Failure::said(error),
    }
}
