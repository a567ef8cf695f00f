//! The rows of a certified task: each record's numbers, kept beside their sum.

use super::layout::Layout;
use crate::failure::Failure;
use delta_domain::ids::Name;
use delta_domain::manifest::{CERTIFIED_KEPT, CERTIFIED_X, CERTIFIED_Y, MAX_CERTIFIED_ROWS};
use delta_ports::certificates::CertifiedRows;

/// Rows so far.
pub(super) struct Table {
    columns: usize,
    rows: CertifiedRows,
}

impl Table {
    /// Of so many columns.
    pub(super) fn of(columns: usize) -> Self {
        Self {
            columns,
            rows: CertifiedRows::default(),
        }
    }

    pub(super) fn into_rows(self) -> CertifiedRows {
        self.rows
    }

    /// Takes those of some records that count.
    pub(super) fn add(&mut self, layout: &Layout, records: &[f64]) -> Result<(), Failure> {
        let at = |name: &str, wanted: usize| -> Result<Vec<usize>, Failure> {
            let name: Name = name
                .parse()
                .map_err(|_| Failure::internal("a name of the format is none"))?;
            let places = layout.places(&[&name]);
            if places.len() == wanted {
                return Ok(places);
            }
            Err(Failure::rejected(format!(
                "{name} has {} numbers a record, the certified round declares {wanted}",
                places.len()
            )))
        };
        let (x, y, kept) = (
            at(CERTIFIED_X, self.columns)?,
            at(CERTIFIED_Y, 1)?,
            at(CERTIFIED_KEPT, 1)?,
        );
        for record in records.chunks_exact(layout.width.max(1)) {
            let number = |place: &usize| record.get(*place).copied().unwrap_or(f64::NAN);
            let counts = kept.first().map_or(f64::NAN, number);
            #[expect(
                clippy::float_cmp,
                reason = "graphs say 0 or 1, and nothing else is either"
            )]
            match (counts == 1.0, counts == 0.0) {
                (true, _) => {}
                (_, true) => continue,
                _ => {
                    return Err(Failure::rejected("kept is neither 0 nor 1 for some record"));
                }
            }
            if self.rows.labels.len() >= MAX_CERTIFIED_ROWS {
                return Err(Failure::corrupt(format!(
                    "the table has more than {MAX_CERTIFIED_ROWS} rows, the most that a certified task takes of one node"
                )));
            }
            self.rows.features.extend(x.iter().map(number));
            self.rows.labels.extend(y.iter().map(number));
        }
        Ok(())
    }
}
