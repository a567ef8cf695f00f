//! PostgreSQL: one read-only transaction, one cursor, cells as it writes them.

use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow, PgSslMode, PgTypeInfo, PgTypeKind};
use sqlx::{
    AssertSqlSafe, Column as _, Connection as _, Executor as _, Row as _, SqlSafeStr as _,
    Statement as _, TypeInfo as _, ValueRef as _,
};

use delta_domain::calendar::days_from_civil;
use delta_domain::query::{NetworkServer, Query, Tls};

use crate::cell::{Cell, Head, Kind, decimal};
use crate::connected;
use crate::failure::Failure;
use crate::file::{Answer, Rows, Whole};
use crate::secret::password;

/// Everything is as it was at one moment, and stays as it is.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// Rows that are asked for at a time: the first, the most, and so many that they have about as many bytes.
const FIRST: usize = 10;
const MOST: usize = 1000;
const BYTES: usize = 4 << 20;
/// PostgreSQL counts the time of a statement in milliseconds, in 31 bits.
const LONGEST: u64 = (i32::MAX / 1000) as u64;

pub(crate) async fn ask(
    server: &NetworkServer,
    query: &Query,
    answer: Answer,
) -> Result<Whole, Failure> {
    let mut database = connected(&options(server, query)?).await?;
    let whole = all(&mut database, query, answer).await?;
    // The answer is here, however the farewell goes.
    drop(database.close().await);
    Ok(whole)
}

fn options(server: &NetworkServer, query: &Query) -> Result<PgConnectOptions, Failure> {
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(&server.host)
        .port(server.port)
        .username(&server.user)
        .database(&server.name)
        .application_name("delta-node")
        .statement_cache_capacity(1)
        .options([
            (
                "statement_timeout",
                format!("{}s", query.timeout.as_secs().min(LONGEST)),
            ),
            ("TimeZone", "UTC".to_owned()),
            ("DateStyle", "ISO".to_owned()),
            ("IntervalStyle", "iso_8601".to_owned()),
        ])
        .ssl_mode(match query.tls {
            Tls::Verified => PgSslMode::VerifyFull,
            Tls::Required => PgSslMode::Require,
            Tls::Off => PgSslMode::Disable,
        });
    if let Some(ca) = &query.ca {
        options = options.ssl_root_cert(ca);
    }
    if let Some(password) = password(query)? {
        options = options.password(&password);
    }
    Ok(options)
}

async fn all(database: &mut PgConnection, query: &Query, answer: Answer) -> Result<Whole, Failure> {
    sqlx::raw_sql(BEGIN).execute(&mut *database).await?;
    let sql = AssertSqlSafe(query.sql.clone()).into_sql_str();
    let statement = database.prepare(sql).await?;
    let heads = statement.columns().iter().map(|column| {
        let kind = kind(column.type_info());
        let name = column.name().to_owned();
        let kind = kind.map_err(|what| {
            Failure::rejected(format!(
                "column {name:?} is of {what}: cast it in the query, or leave it out"
            ))
        })?;
        Ok(Head { name, kind })
    });
    let mut rows = answer.of(heads.collect::<Result<_, Failure>>()?)?;
    // A server takes one statement this way, and only one that reads.
    let cursor = format!("DECLARE delta_node NO SCROLL CURSOR FOR {}", query.sql);
    sqlx::query(AssertSqlSafe(cursor))
        .persistent(false)
        .execute(&mut *database)
        .await?;
    let mut count = FIRST;
    loop {
        let fetch = AssertSqlSafe(format!("FETCH {count} FROM delta_node"));
        // One row at a time: all of them may have long texts.
        let mut some = sqlx::raw_sql(fetch).fetch(&mut *database);
        let (mut taken, mut bytes) = (0_usize, 0_usize);
        while let Some(row) = some.try_next().await? {
            bytes = bytes.saturating_add(take(&row, &mut rows)?);
            rows.end_row().await?;
            taken += 1;
        }
        if taken == 0 {
            break;
        }
        count = (BYTES / (bytes / taken).max(1)).clamp(1, MOST);
    }
    rows.finish().await
}

/// What a type is, or its name where it is nothing that a table has.
fn kind(of: &PgTypeInfo) -> Result<Kind, String> {
    let name = of.name();
    match name {
        "INT2" | "INT4" | "INT8" | "OID" => Ok(Kind::Whole),
        "FLOAT4" => Ok(Kind::Single),
        "FLOAT8" | "NUMERIC" => Ok(Kind::Double),
        "BOOL" => Ok(Kind::Truth),
        "DATE" => Ok(Kind::Day),
        "TIMESTAMP" => Ok(Kind::Moment { utc: false }),
        "TIMESTAMPTZ" => Ok(Kind::Moment { utc: true }),
        // As they are written.
        "TEXT" | "VARCHAR" | "CHAR" | "\"CHAR\"" | "NAME" | "UUID" | "JSON" | "JSONB" | "XML"
        | "INTERVAL" | "TIME" | "TIMETZ" | "INET" | "CIDR" | "MACADDR" | "MACADDR8" | "UNKNOWN" => {
            Ok(Kind::Text)
        }
        _ if matches!(of.kind(), PgTypeKind::Enum(_)) || name.eq_ignore_ascii_case("citext") => {
            Ok(Kind::Text)
        }
        _ => Err(format!("the type {name}")),
    }
}

/// Takes a row; the bytes that it has.
fn take(row: &PgRow, rows: &mut Rows) -> Result<usize, Failure> {
    let mut bytes = 0_usize;
    for place in 0..rows.heads().len() {
        let value = row.try_get_raw(place)?;
        if value.is_null() {
            rows.cell(Cell::Missing)?;
            continue;
        }
        let text = value.as_str().map_err(|e| rows.wrong(place, e))?;
        bytes = bytes.saturating_add(text.len());
        let kind = rows.heads().get(place).map_or(Kind::Text, |head| head.kind);
        let numeric = value.type_info().name() == "NUMERIC";
        let cell = cell(kind, numeric, text).map_err(|what| rows.wrong(place, what))?;
        rows.cell(cell)?;
    }
    Ok(bytes)
}

/// A cell as PostgreSQL writes it, with dates in ISO 8601 and times in UTC.
fn cell(kind: Kind, numeric: bool, text: &str) -> Result<Cell<'_>, String> {
    let number = |e: &dyn std::fmt::Display| format!("{text:?} is no number: {e}");
    Ok(match kind {
        Kind::Whole => Cell::Whole(text.parse().map_err(|e| number(&e))?),
        Kind::Unsigned => Cell::Unsigned(text.parse().map_err(|e| number(&e))?),
        Kind::Single => Cell::Single(text.parse().map_err(|e| number(&e))?),
        Kind::Double if numeric => decimal(text)?,
        Kind::Double => Cell::Double(text.parse().map_err(|e| number(&e))?),
        Kind::Truth => Cell::Truth(text == "t"),
        Kind::Text => Cell::Text(text),
        Kind::Day => Cell::Day(days(text).ok_or_else(|| no_day(text))?),
        Kind::Moment { .. } => Cell::Moment(micros(text).ok_or_else(|| no_day(text))?),
    })
}

fn no_day(text: &str) -> String {
    format!("{text} is no day of the years 1 to 9999")
}

/// `2026-11-29`.
fn days(text: &str) -> Option<i32> {
    let mut parts = text.splitn(3, '-');
    let mut part = || parts.next()?.parse().ok();
    days_from_civil(part()?, part()?, part()?)
}

/// `2026-11-29 13:05:07.25`, perhaps with `+00` behind it.
fn micros(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(' ')?;
    let time = time.strip_suffix("+00").unwrap_or(time);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = clock.splitn(3, ':');
    let mut part = || parts.next()?.parse::<i64>().ok();
    let (hour, minute, second) = (part()?, part()?, part()?);
    let digits = format!("{fraction:0<6}");
    let micros: i64 = digits
        .get(..6)
        .filter(|_| digits.len() == 6)?
        .parse()
        .ok()?;
    let seconds = i64::from(days(date)?) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(seconds * 1_000_000 + micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_those_of_the_calendar() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("2026-11-29", Some(20_786)),
            ("1969-12-31", Some(-1)),
            ("0001-01-01", Some(-719_162)),
            ("9999-12-31", Some(2_932_896)),
            ("10000-01-01", None),
            ("infinity", None),
            ("0044-03-15 BC", None),
        ] {
            assert_eq!(days(text), expected, "{text}");
        }
        for (text, expected) in [
            ("1970-01-01 00:00:01.5", Some(1_500_000)),
            ("1970-01-02 00:00:00+00", Some(86_400_000_000)),
            ("1969-12-31 23:59:59.000001+00", Some(-999_999)),
            ("1970-01-01 24:00:00", Some(86_400_000_000)),
            ("-infinity", None),
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
    }
}
