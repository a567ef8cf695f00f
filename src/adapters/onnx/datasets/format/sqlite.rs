//! A table of a SQLite file, row after row, by the types that its cells have.
//!
//! The file is opened for reading only and as one that nobody changes, so that nothing is written beside it, and no lock is taken. What a
//! program had not yet brought into it would be missed: such a file is refused.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::datasets::table::{Opening, TableFile};
use crate::datasets::typed::{Cell, Each, Typed, TypedTable, contained, damaged, named, whole};
use crate::failure::Failure;

/// What a file begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Bytes of a text that can be a number.
const TEXT: usize = 64 << 10;
/// Tables whose names a message lists.
const LISTED: usize = 20;
/// What programs leave beside a file while they write, and what is to be done about it.
const BESIDE: [&str; 2] = ["-wal", "-journal"];

/// Whether a file begins as one of these.
pub(super) fn begins(start: &[u8]) -> bool {
    start.starts_with(MAGIC)
}

struct Database {
    connection: Connection,
    table: String,
    columns: Vec<String>,
    names: Vec<String>,
    /// Whether the table is one of several.
    chosen: bool,
}

/// Opens a table of a SQLite file: the only one, or the one that its owner names.
pub(super) fn open(path: &Path, opening: Opening<'_>) -> Result<Box<dyn TableFile>, Failure> {
    complete(path)?;
    nothing_beside(path)?;
    let source = contained(|| {
        let connection = connect(path)?;
        let (table, chosen) = chosen(&connection, opening.said.table.as_deref())?;
        let columns = columns(&connection, &table)?;
        Ok(Database {
            connection,
            table,
            names: named(columns.clone(), opening.header),
            columns,
            chosen,
        })
    })?;
    Ok(Box::new(TypedTable::new(source, opening)))
}

/// Compares the length of a file with what its head says.
fn complete(path: &Path) -> Result<(), Failure> {
    let unreadable = |e| Failure::unreadable("it", &e);
    let mut file = File::open(path).map_err(unreadable)?;
    let mut head = [0; 100];
    if file.read_exact(&mut head).is_err() || !head.starts_with(MAGIC) {
        return Err(Failure::corrupt(
            "it does not begin as a SQLite file does; is it encrypted, or damaged?",
        ));
    }
    let [a, b, pages @ ..] = [16, 17, 28, 29, 30, 31].map(|at: usize| head.get(at).copied());
    let size = match u16::from_be_bytes([a, b].map(Option::unwrap_or_default)) {
        1 => 65_536,
        size => u64::from(size),
    };
    let pages = u64::from(u32::from_be_bytes(pages.map(Option::unwrap_or_default)));
    // Old versions of SQLite did not keep the number of pages.
    let kept = head.get(24..28) == head.get(92..96);
    let length = file.metadata().map_err(unreadable)?.len();
    match kept && length < size.saturating_mul(pages) {
        true => Err(damaged("its end is missing")),
        false => Ok(()),
    }
}

/// Refuses a file that is being written, or was when its program ended.
fn nothing_beside(path: &Path) -> Result<(), Failure> {
    for ending in BESIDE {
        let mut other = OsString::from(path);
        other.push(ending);
        let other = PathBuf::from(other);
        if other.metadata().is_ok_and(|m| m.len() > 0) {
            let name = other.file_name().unwrap_or_default().to_string_lossy();
            return Err(Failure::corrupt(format!(
                "{name} beside it has changes that are not in the file; close the programs that use it, or make a copy with `VACUUM INTO`"
            )));
        }
    }
    Ok(())
}

fn connect(path: &Path) -> Result<Connection, Failure> {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            byte => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, flags).map_err(unread)?;
    for (config, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
    ] {
        connection.set_db_config(config, on).map_err(unread)?;
    }
    connection
        .execute_batch("PRAGMA cell_size_check = ON")
        .map_err(unread)?;
    Ok(connection)
}

/// The table that is meant, and whether there are others.
fn chosen(connection: &Connection, said: Option<&str>) -> Result<(String, bool), Failure> {
    let all = "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
    let mut statement = connection.prepare(all).map_err(unread)?;
    let all: Result<Vec<(String, String)>, _> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(unread)?
        .collect();
    let all = all.map_err(unread)?;
    let tables = || all.iter().filter(|(_, kind)| kind == "table");
    let listed: Vec<&String> = tables().map(|(name, _)| name).take(LISTED).collect();
    let several = tables().count() > 1;
    match said {
        Some(said) => match all.iter().find(|(name, _)| name == said) {
            Some((name, kind)) if kind == "table" => Ok((name.clone(), several)),
            Some((name, kind)) => Err(Failure::corrupt(format!(
                "{name:?} is a {kind}, and only tables are read; make one of it (`CREATE TABLE ... AS SELECT ...`)"
            ))),
            None => Err(Failure::corrupt(format!(
                "it has no table {said:?}, which the setting `table` names; it has {listed:?}"
            ))),
        },
        None => match listed.as_slice() {
            [] => Err(Failure::corrupt("there is no table in it")),
            [only] => Ok(((*only).clone(), false)),
            _ => Err(Failure::corrupt(format!(
                "it has the tables {listed:?}; say which one is meant: `table: NAME`"
            ))),
        },
    }
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<String>, Failure> {
    let none = format!("SELECT * FROM {} LIMIT 0", quoted(table));
    let statement = connection.prepare(&none).map_err(unread)?;
    let names = statement.column_names();
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A column without what can be no number, which is not even read: bytes, and texts that are too long, are no bytes at all.
fn bounded(column: &str) -> String {
    format!(
        "CASE typeof({column}) WHEN 'blob' THEN x'' WHEN 'text' THEN iif(octet_length({column}) > {TEXT}, x'', {column}) ELSE {column} END"
    )
}

impl Typed for Database {
    fn names(&self) -> &[String] {
        &self.names
    }

    /// Only cells have types.
    fn no_numbers(&self, _place: usize) -> Option<String> {
        None
    }

    fn rows(&mut self, bound: usize) -> Result<usize, Failure> {
        let table = quoted(&self.table);
        let count =
            format!("SELECT count(*) FROM (SELECT 1 FROM {table} NOT INDEXED LIMIT {bound})");
        contained(|| {
            let rows: i64 =
                { self.connection.query_row(&count, [], |row| row.get(0)) }.map_err(unread)?;
            Ok(usize::try_from(rows).unwrap_or(0))
        })
    }

    fn read(&mut self, places: &[usize], each: &mut dyn Each) -> Result<u64, Failure> {
        let asked = places.iter().filter_map(|place| self.columns.get(*place));
        let mut asked: Vec<String> = asked.map(|name| bounded(&quoted(name))).collect();
        if asked.is_empty() {
            asked.push("1".to_owned());
        }
        // An index would have its rows in an order of its own.
        let select = format!(
            "SELECT {} FROM {} NOT INDEXED",
            asked.join(", "),
            quoted(&self.table)
        );
        contained(|| {
            let mut statement = self.connection.prepare(&select).map_err(unread)?;
            let mut rows = statement.query([]).map_err(unread)?;
            let mut count = 0;
            while let Some(row) = rows.next().map_err(unread)? {
                count += 1;
                for which in 0..places.len() {
                    each.cell(which, count, cell(row.get_ref(which).map_err(unread)?))?;
                }
            }
            Ok(count)
        })
    }

    fn notes(&self) -> Vec<String> {
        match self.chosen {
            true => vec![format!("its table {:?}", self.table)],
            false => Vec::new(),
        }
    }
}

/// What is stored in a cell: the one function that knows SQLite's types.
fn cell(value: ValueRef<'_>) -> Cell<'_> {
    match value {
        ValueRef::Null => Cell::Missing,
        ValueRef::Integer(value) => whole(i128::from(value)),
        ValueRef::Real(value) => Cell::Number(value),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Cell::Text(Cow::Borrowed(text)),
            Err(_) => Cell::Other(Cow::Borrowed("a text in no known encoding")),
        },
        ValueRef::Blob(_) => Cell::Other(Cow::Borrowed(
            "bytes (a blob) or a text that is too long, not a number",
        )),
    }
}

fn unread(error: rusqlite::Error) -> Failure {
    let why: String = error.to_string().chars().take(200).collect();
    damaged(why)
}

#[cfg(test)]
mod tests;
