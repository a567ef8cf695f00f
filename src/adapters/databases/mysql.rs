//! MySQL and MariaDB: one read-only transaction, one statement, cells as they are stored.

use futures_util::TryStreamExt as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow, MySqlSslMode};
use sqlx::{
    AssertSqlSafe, Column as _, Connection as _, Decode, Executor as _, MySql, Row as _,
    SqlSafeStr as _, Statement as _, TypeInfo as _, ValueRef as _,
};

use delta_domain::calendar::days_from_civil;
use delta_domain::query::{NetworkServer, Query, Tls};

use crate::cell::{Cell, Head, Kind, decimal};
use crate::connected;
use crate::failure::Failure;
use crate::file::{Answer, Rows, Whole};
use crate::secret::password;

/// Everything is as it was at one moment, and stays as it is.
const BEGIN: [&str; 2] = [
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
];

/// Why some cells are refused.
const BYTES: &str = "it has bytes and no text: leave it out, or write HEX(...) in the query";
const DIGIT: &str = "it is a TINYINT(1) below 0 or above 127, and the server does not say which: write CAST(... AS SIGNED) in the query";

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

fn options(server: &NetworkServer, query: &Query) -> Result<MySqlConnectOptions, Failure> {
    let mut options = MySqlConnectOptions::new()
        .host(&server.host)
        .port(server.port)
        .username(&server.user)
        .database(&server.name)
        .statement_cache_capacity(1)
        // The query means what it means to the database's other users.
        .pipes_as_concat(false)
        .timezone(Some("+00:00".to_owned()))
        .ssl_mode(match query.tls {
            Tls::Verified => MySqlSslMode::VerifyIdentity,
            Tls::Required => MySqlSslMode::Required,
            Tls::Off => MySqlSslMode::Disabled,
        });
    if let Some(ca) = &query.ca {
        options = options.ssl_ca(ca);
    }
    if let Some(password) = password(query)? {
        options = options.password(&password);
    }
    Ok(options)
}

async fn all(
    database: &mut MySqlConnection,
    query: &Query,
    answer: Answer,
) -> Result<Whole, Failure> {
    limit(database, query).await;
    for statement in BEGIN {
        sqlx::raw_sql(statement).execute(&mut *database).await?;
    }
    let sql = AssertSqlSafe(query.sql.clone()).into_sql_str();
    let statement = database.prepare(sql).await?;
    let mut types = Vec::new();
    let mut heads = Vec::new();
    for column in statement.columns() {
        let (name, of) = (column.name().to_owned(), column.type_info().name());
        let Some(stored) = Stored::of(of) else {
            return Err(Failure::rejected(format!(
                "column {name:?} is of the type {of}: cast it in the query, or leave it out"
            )));
        };
        types.push(stored);
        heads.push(Head {
            name,
            kind: stored.kind(),
        });
    }
    let mut rows = answer.of(heads)?;
    {
        let sql = AssertSqlSafe(query.sql.clone());
        let mut coming = sqlx::query(sql).persistent(false).fetch(&mut *database);
        while let Some(row) = coming.try_next().await? {
            take(&row, &types, &mut rows)?;
            rows.end_row().await?;
        }
    }
    rows.finish().await
}

/// A query that nobody waits for any more ends at the server, too: MariaDB knows the first word, MySQL the second.
async fn limit(database: &mut MySqlConnection, query: &Query) {
    let seconds = query.timeout.as_secs();
    let milliseconds = seconds.saturating_mul(1000).min(u64::from(u32::MAX));
    for setting in [
        format!("SET SESSION max_statement_time = {seconds}"),
        format!("SET SESSION max_execution_time = {milliseconds}"),
    ] {
        let sql = AssertSqlSafe(setting);
        // An older server knows none, and the node's own limit holds all the same.
        drop(sqlx::raw_sql(sql).execute(&mut *database).await);
    }
}

fn take(row: &MySqlRow, types: &[Stored], rows: &mut Rows) -> Result<(), Failure> {
    for (place, stored) in types.iter().enumerate() {
        let value = row.try_get_raw(place)?;
        // Days of zeros, which MySQL has and the calendar has not, are none here either.
        if value.is_null() {
            rows.cell(Cell::Missing)?;
            continue;
        }
        let bytes = <&[u8] as Decode<MySql>>::decode(value).map_err(|e| rows.wrong(place, e))?;
        let mut text = String::new();
        let cell = stored.cell(bytes, &mut text);
        let cell = cell.map_err(|what| rows.wrong(place, what))?;
        rows.cell(cell)?;
    }
    Ok(())
}

/// How the cells of a column come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Signed,
    /// One digit wide, signed or not.
    Digit,
    Unsigned,
    Float,
    Double,
    Decimal,
    Text,
    /// Bytes, which may be a text.
    Bytes,
    Date,
    DateTime,
    /// A span of time, up to 838 hours long, and perhaps negative.
    Time,
    Bits,
}

impl Stored {
    /// By the name of the type; `None` for bytes and shapes, which are nothing that a table has.
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "BOOLEAN" => Self::Digit,
            "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => Self::Signed,
            "YEAR" => Self::Unsigned,
            "FLOAT" => Self::Float,
            "DOUBLE" => Self::Double,
            "DECIMAL" => Self::Decimal,
            "DATE" => Self::Date,
            "DATETIME" | "TIMESTAMP" => Self::DateTime,
            "TIME" => Self::Time,
            "BIT" => Self::Bits,
            "CHAR" | "VARCHAR" | "TINYTEXT" | "TEXT" | "MEDIUMTEXT" | "LONGTEXT" | "ENUM"
            | "SET" | "JSON" | "NULL" => Self::Text,
            // Texts whose order goes by their bytes come under these names as well, JSON of MariaDB among them.
            "BINARY" | "VARBINARY" | "TINYBLOB" | "BLOB" | "MEDIUMBLOB" | "LONGBLOB" => Self::Bytes,
            _ if name.ends_with("UNSIGNED") => Self::Unsigned,
            _ => return None,
        })
    }

    fn kind(self) -> Kind {
        match self {
            Self::Signed | Self::Digit => Kind::Whole,
            Self::Unsigned | Self::Bits => Kind::Unsigned,
            Self::Float => Kind::Single,
            Self::Double | Self::Decimal => Kind::Double,
            Self::Text | Self::Bytes | Self::Time => Kind::Text,
            Self::Date => Kind::Day,
            Self::DateTime => Kind::Moment { utc: false },
        }
    }

    /// A cell from its bytes in the binary protocol. `text`: room for one that is written here.
    fn cell<'c>(self, bytes: &'c [u8], text: &'c mut String) -> Result<Cell<'c>, String> {
        let utf8 = || std::str::from_utf8(bytes).map_err(|_| "it is no text in UTF-8".to_owned());
        let cell = match self {
            Self::Text => return utf8().map(Cell::Text),
            Self::Bytes => {
                let plain = utf8().ok().filter(|text| !text.contains('\0'));
                return plain.map(Cell::Text).ok_or_else(|| BYTES.to_owned());
            }
            Self::Digit => match bytes {
                [value @ 0..=127] => Some(Cell::Whole(i64::from(*value))),
                _ => return Err(DIGIT.to_owned()),
            },
            Self::Decimal => return decimal(utf8()?),
            Self::Signed => signed(bytes).map(Cell::Whole),
            Self::Unsigned => unsigned(bytes).map(Cell::Unsigned),
            Self::Bits => bits(bytes).map(Cell::Unsigned),
            Self::Float => bytes
                .try_into()
                .ok()
                .map(f32::from_le_bytes)
                .map(Cell::Single),
            Self::Double => bytes
                .try_into()
                .ok()
                .map(f64::from_le_bytes)
                .map(Cell::Double),
            Self::Date => moment(bytes).map(|(days, _)| Cell::Day(days)),
            Self::DateTime => moment(bytes)
                .map(|(days, micros)| Cell::Moment(i64::from(days) * 86_400_000_000 + micros)),
            Self::Time => {
                *text = span(bytes).unwrap_or_default();
                (!text.is_empty()).then_some(Cell::Text(text))
            }
        };
        cell.ok_or_else(|| match self {
            Self::Date | Self::DateTime => "it is no day of the calendar".to_owned(),
            _ => format!("{} bytes are no value of its type", bytes.len()),
        })
    }
}

fn unsigned(bytes: &[u8]) -> Option<u64> {
    if !matches!(bytes.len(), 1 | 2 | 4 | 8) {
        return None;
    }
    let little = bytes.iter().rev();
    Some(little.fold(0, |n, byte| n << 8 | u64::from(*byte)))
}

fn signed(bytes: &[u8]) -> Option<i64> {
    let bits = unsigned(bytes)?;
    let unused = 64 - 8 * u32::try_from(bytes.len()).ok()?;
    let bits = bits << unused;
    // An arithmetic shift fills up with the sign.
    Some(bits.cast_signed() >> unused)
}

fn bits(bytes: &[u8]) -> Option<u64> {
    let all = bytes
        .iter()
        .fold(0, |n: u64, byte| n << 8 | u64::from(*byte));
    (bytes.len() <= 8).then_some(all)
}

/// A length, then year, month, day, perhaps hour, minute, second, perhaps microseconds: days, and microseconds of the day.
fn moment(bytes: &[u8]) -> Option<(i32, i64)> {
    let rest = lengthy(bytes)?;
    let (date, rest) = rest.split_at_checked(4)?;
    let (year, rest_of_date) = date.split_at_checked(2)?;
    let [month, day]: [u8; 2] = rest_of_date.try_into().ok()?;
    let year = u16::from_le_bytes(year.try_into().ok()?);
    let days = days_from_civil(year.into(), month.into(), day.into())?;
    Some((days, clock(rest)?))
}

/// A length, then the sign, days, hour, minute, second, perhaps microseconds: as `-01:30:00`.
fn span(bytes: &[u8]) -> Option<String> {
    let rest = lengthy(bytes)?;
    if rest.is_empty() {
        return Some("00:00:00".to_owned());
    }
    let (sign, rest) = rest.split_at_checked(1)?;
    let (days, rest) = rest.split_at_checked(4)?;
    let days = i64::from(u32::from_le_bytes(days.try_into().ok()?));
    let micros = clock(rest)?;
    let (seconds, micros) = (days * 86_400 + micros / 1_000_000, micros % 1_000_000);
    let sign = if sign == [1] { "-" } else { "" };
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let fraction = match micros {
        0 => String::new(),
        _ => format!(".{micros:06}"),
    };
    Some(format!(
        "{sign}{hours:02}:{minutes:02}:{:02}{fraction}",
        seconds % 60
    ))
}

fn lengthy(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first()?;
    (usize::from(*length) == rest.len()).then_some(rest)
}

/// Microseconds of hour, minute, second and a fraction, where they are there.
fn clock(bytes: &[u8]) -> Option<i64> {
    let Some((time, rest)) = bytes.split_at_checked(3) else {
        return bytes.is_empty().then_some(0);
    };
    let &[hour, minute, second] = time else {
        return None;
    };
    let micros = match rest {
        [] => 0,
        rest => u32::from_le_bytes(rest.try_into().ok()?),
    };
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    Some(seconds * 1_000_000 + i64::from(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(stored: Stored, bytes: &[u8]) -> Result<String, String> {
        let mut text = String::new();
        stored
            .cell(bytes, &mut text)
            .map(|cell| format!("{cell:?}"))
    }

    #[test]
    fn cells_are_what_the_protocol_says() {
        use Stored::{
            Bits, Bytes, Date, DateTime, Decimal, Digit, Double, Float, Signed, Text, Time,
            Unsigned,
        };
        for (stored, bytes, expected) in [
            (Signed, &[0xff][..], "Whole(-1)"),
            (Digit, &[1], "Whole(1)"),
            (Bytes, b"{}", "Text(\"{}\")"),
            (Signed, &[0, 0x80], "Whole(-32768)"),
            (Signed, &[0xfe, 0xff, 0xff, 0xff], "Whole(-2)"),
            (
                Signed,
                &[1, 0, 0, 0, 0, 0, 0, 0x80],
                "Whole(-9223372036854775807)",
            ),
            (
                Unsigned,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                "Unsigned(18446744073709551615)",
            ),
            (Bits, &[1, 0], "Unsigned(256)"),
            (Float, &0.1f32.to_le_bytes(), "Single(0.1)"),
            (Double, &0.1f64.to_le_bytes(), "Double(0.1)"),
            (Decimal, b"12.500", "Double(12.5)"),
            (Text, "é".as_bytes(), "Text(\"é\")"),
            (Date, &[4, 0xea, 7, 11, 29], "Day(20786)"),
            (DateTime, &[7, 0xb2, 7, 1, 1, 0, 0, 1], "Moment(1000000)"),
            (DateTime, &[4, 0xb2, 7, 1, 2], "Moment(86400000000)"),
            (
                DateTime,
                &[11, 0xb2, 7, 1, 1, 0, 0, 0, 5, 0, 0, 0],
                "Moment(5)",
            ),
            (Time, &[0], "Text(\"00:00:00\")"),
            (Time, &[8, 1, 1, 0, 0, 0, 1, 30, 0], "Text(\"-25:30:00\")"),
            (
                Time,
                &[12, 0, 0, 0, 0, 0, 1, 2, 3, 5, 0, 0, 0],
                "Text(\"01:02:03.000005\")",
            ),
        ] {
            assert_eq!(
                cell(stored, bytes).as_deref(),
                Ok(expected),
                "{stored:?} {bytes:?}"
            );
        }
        for (stored, bytes) in [
            (Signed, &[][..]),
            (Digit, &[200]),
            (Bytes, &[0]),
            (Bytes, &[0xff, 0xfe]),
            (Signed, &[1, 2, 3]),
            (Signed, &[0; 9]),
            (Bits, &[0; 9]),
            (Float, &[0; 8]),
            (Text, &[0xff]),
            (Date, &[4, 0xea, 7, 2, 30]),
            (Date, &[0]),
            (DateTime, &[11, 0xb2, 7, 1, 1]),
            (DateTime, &[9, 0xb2, 7, 1, 1, 0, 0, 0, 5, 0]),
            (Time, &[3, 0, 0, 0]),
        ] {
            assert!(cell(stored, bytes).is_err(), "{stored:?} {bytes:?}");
        }
    }
}
