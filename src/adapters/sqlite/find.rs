//! Looking for tasks.

use sqlx::Sqlite;
use sqlx::sqlite::SqlitePool;

use super::error::{corrupt, port_error};
use super::queries;
use super::rows::StoredTask;
use delta_domain::task::TaskStatus;
use delta_ports::PortError;
use delta_ports::storage::{TaskMatches, TaskQuery};

const OP: &str = "storage.find_tasks";

/// Those that match, and how many there are of each status, as of one moment.
pub(super) async fn tasks(pool: &SqlitePool, query: &TaskQuery) -> Result<TaskMatches, PortError> {
    let pattern = pattern(&query.text);
    let kind = query.kind.map(|kind| kind.as_str());
    let mut tx = pool.begin().await.map_err(|e| port_error(OP, e))?;
    let counted = sqlx::query_as::<Sqlite, (i64, i64)>(queries::TASK_FIND_COUNTS)
        .bind(&query.text)
        .bind(&pattern)
        .bind(kind)
        .fetch_all(&mut *tx)
        .await
        .map_err(|e| port_error(OP, e))?;
    let rows = sqlx::query_as::<Sqlite, StoredTask>(queries::TASK_FIND)
        .bind(&query.text)
        .bind(&pattern)
        .bind(kind)
        .bind(query.before.unwrap_or(i64::MAX))
        .bind(statuses(&query.statuses))
        .bind(query.limit)
        .fetch_all(&mut *tx)
        .await
        .map_err(|e| port_error(OP, e))?;
    let status = |code: i64| {
        let status = u8::try_from(code).ok().and_then(TaskStatus::from_code);
        status.ok_or_else(|| corrupt(OP, "task status"))
    };
    let counts = counted
        .into_iter()
        .map(|(code, count)| Ok((status(code)?, count.unsigned_abs())));
    Ok(TaskMatches {
        tasks: rows
            .into_iter()
            .map(|row| row.into_row(OP))
            .collect::<Result<_, _>>()?,
        counts: counts.collect::<Result<_, PortError>>()?,
    })
}

/// A text anywhere, as LIKE has it, whatever signs are in it.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for sign in text.chars() {
        if matches!(sign, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(sign);
    }
    pattern.push('%');
    pattern
}

/// Numbers of statuses as a JSON list; of all where none is named.
fn statuses(named: &[TaskStatus]) -> String {
    let all = (0..=u8::MAX).map_while(TaskStatus::from_code);
    let codes: Vec<String> = match named {
        [] => all.map(|status| status.code().to_string()).collect(),
        named => named.iter().map(|s| s.code().to_string()).collect(),
    };
    format!("[{}]", codes.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_looked_for_as_it_is() {
        assert_eq!(pattern("100%_!x"), "%100!%!_!!x%");
        assert_eq!(statuses(&[]), "[0,1,2,3,4]");
        assert_eq!(statuses(&[TaskStatus::Error]), "[3]");
    }
}
