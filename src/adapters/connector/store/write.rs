//! A change as the row that keeps it.

use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;

use super::queries::{
    ADD_MEMBER, ADD_ROUND, ADD_TASK, ADD_UPLOAD, CONFIRM_TASK, DROP_BELOW_TASK, DROP_DATA,
    DROP_NODE, DROP_TASK, FINISH_TASK, MOVE_MEMBERS, MOVE_ROUND, PUT_DATA, PUT_NODE, PUT_PROOF,
    PUT_RESULT, TOUCH_TASK,
};
use super::rows::{json, row_id, seconds, upload_text};
use super::{Store, failed};
use delta_domain::connector_record::Change;
use delta_ports::PortError;

/// A statement with its values.
macro_rules! bound {
    ($sql:expr; $($value:expr),*) => {
        sqlx::query($sql)$(.bind($value))*
    };
}

impl Store {
    /// Writes one change: with one statement, but for those of [`Store::is_one_statement`].
    pub(crate) async fn write(&mut self, change: &Change) -> Result<(), PortError> {
        if let Change::RoundStatus {
            id,
            status,
            members,
        } = change
            && !members.is_empty()
        {
            bound!(MOVE_MEMBERS; status.code(), row_id(*id)?, json(members)?)
                .execute(&mut self.connection)
                .await
                .map_err(failed("members could not be stored"))?;
        }
        for (sql, id) in beside(change)? {
            bound!(sql; id)
                .execute(&mut self.connection)
                .await
                .map_err(failed("a change could not be stored"))?;
        }
        if let Change::Round { task, at, .. } = change {
            bound!(TOUCH_TASK; seconds(*at), row_id(*task)?)
                .execute(&mut self.connection)
                .await
                .map_err(failed("a change could not be stored"))?;
        }
        statement(change)?
            .execute(&mut self.connection)
            .await
            .map(drop)
            .map_err(failed("a change could not be stored"))
    }
}

/// Statements with one id that go before that of a change.
fn beside(change: &Change) -> Result<Vec<(&'static str, i64)>, PortError> {
    match change {
        Change::TaskGone { index } => {
            let id = row_id(*index)?;
            Ok(DROP_BELOW_TASK.map(|sql| (sql, id)).to_vec())
        }
        _ => Ok(Vec::new()),
    }
}

/// The statement for a change, members of a moving round aside.
fn statement(change: &Change) -> Result<Query<'_, Sqlite, SqliteArguments>, PortError> {
    use Change as C;
    Ok(match change {
        C::Node {
            id,
            url,
            name,
            address,
            alive_until,
        } => {
            bound!(PUT_NODE; row_id(*id)?, url, name, address, seconds(*alive_until))
        }
        C::Data {
            owner,
            name,
            index,
            commitment,
        } => bound!(PUT_DATA; owner, name, index, commitment),
        C::NodeGone { id } => bound!(DROP_NODE; row_id(*id)?),
        C::DataGone { owner } => bound!(DROP_DATA; owner),
        C::TaskGone { index } => bound!(DROP_TASK; row_id(*index)?),
        C::Task {
            index,
            id,
            entry,
            at,
        } => bound!(
            ADD_TASK; row_id(*index)?, entry.kind.as_str(), id, &entry.address, &entry.dataset, &entry.commitment,
            &entry.task_type, entry.enable_verify, entry.tolerance, seconds(*at)
        ),
        C::TaskFinished { index } => bound!(FINISH_TASK; row_id(*index)?),
        C::Confirmed { index } => bound!(CONFIRM_TASK; row_id(*index)?),
        C::Round {
            id,
            task,
            number,
            weight_commitment,
            ..
        } => {
            bound!(ADD_ROUND; row_id(*id)?, row_id(*task)?, number, weight_commitment)
        }
        C::RoundStatus { id, status, .. } => bound!(MOVE_ROUND; status.code(), row_id(*id)?),
        C::Member {
            round,
            address,
            status,
            pk1,
            pk2,
        } => {
            bound!(ADD_MEMBER; row_id(*round)?, address, status.code(), pk1, pk2)
        }
        C::Result {
            round,
            member,
            commitment,
        } => bound!(PUT_RESULT; commitment, row_id(*round)?, member),
        C::Upload {
            round,
            kind,
            member,
            entries,
        } => {
            bound!(ADD_UPLOAD; row_id(*round)?, upload_text(*kind), member, json(entries)?)
        }
        C::Proof {
            task,
            member,
            valid,
        } => bound!(PUT_PROOF; row_id(*task)?, member, valid),
    })
}
