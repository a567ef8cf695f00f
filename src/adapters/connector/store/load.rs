//! The stored record read back as the changes that made it.

use sqlx::Row as _;

use super::queries::{DATA, MEMBERS, NODES, PROOFS, ROUNDS, TASKS, UPLOADS};
use super::rows::{get, place, status, text, upload_kind};
use super::{Store, damaged};
use delta_domain::connector_record::{Change, ChangeError, NewTaskEntry, Record, RoundId};
use delta_domain::task::TaskKind;
use delta_ports::PortError;

impl Store {
    /// Everything but the rounds' bodies.
    pub(crate) async fn load(&mut self) -> Result<Record, PortError> {
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
                .map_err(|_| damaged(ChangeError("unknown kind of task")))?;
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
                at: u64::try_from(row.get::<i64, _>(11)).unwrap_or(0),
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
        self.load_rounds(&mut record).await?;
        Ok(record)
    }

    /// The rounds of tasks that are loaded, without their bodies.
    async fn load_rounds(&mut self, record: &mut Record) -> Result<(), PortError> {
        let mut put = |change| record.apply(change).map_err(damaged);
        let mut rounds = Vec::new();
        for row in self.rows(ROUNDS).await? {
            let id = place(&row, 0)?;
            put(Change::Round {
                id,
                task: place(&row, 1)?,
                number: get(&row, 2)?,
                weight_commitment: text(&row, 4)?,
                // The task remembers.
                at: 0,
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
        Ok(())
    }

    /// What restores the body of one round.
    pub(crate) async fn body(&mut self, id: RoundId) -> Result<Vec<Change>, PortError> {
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
                .map_err(|_| damaged(ChangeError("undecodable upload")))?;
            changes.push(Change::Upload {
                round: id,
                kind,
                member: get(&row, 1)?,
                entries,
            });
        }
        Ok(changes)
    }
}
