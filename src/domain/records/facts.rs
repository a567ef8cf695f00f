//! What the rules look at, measured from the units' integers in three passes over blocks of rows.

use super::accumulate::Units;
use super::blocks::Block;
use super::gram::{Gram, twins};
use super::leverage::leverage;

/// Most outputs that are audited together: the Gram matrix has the square of that many entries.
pub const MAX_AUDITED: usize = 256;

/// What the rules look at. Of the owner's data: never shown to the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Units: n.
    pub units: u64,
    /// One for each output: d of them.
    pub outputs: Vec<OutputFacts>,
    /// Of all outputs together; `None` above [`MAX_AUDITED`], or when it is too much work to tell.
    pub spread: Option<Spread>,
}

/// One output over all units; magnitudes in the ring's integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputFacts {
    /// Units whose number is not 0.
    pub nonzero: u64,
    /// Whether every number is 0 or one and the same.
    pub indicator: bool,
    /// Whether an output before it is equal to it in every unit.
    pub repeated: bool,
    /// The largest magnitude.
    pub first: u64,
    /// The second largest.
    pub second: u64,
    /// The sum of all magnitudes.
    pub total: u128,
}

/// All outputs together with the count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The rank of [1, V].
    pub rank: usize,
    /// The largest leverage of a unit, rounded up by at most 1e-3; from 0 to 1.
    pub leverage: f64,
}

impl Facts {
    /// Measures. Needs (d + 1)^2 * 16 bytes beside the units, and n d^2 / 2 steps twice.
    #[must_use]
    pub fn of(units: &Units) -> Self {
        let width = units.width();
        let audited = width <= MAX_AUDITED;
        let twins = if audited { twins(units) } else { Vec::new() };
        let mut gram = Gram::new(twins.clone());
        let mut outputs = vec![Running::default(); width];
        Block::each(units, |block| {
            for (output, column) in outputs.iter_mut().zip(block.columns().skip(1)) {
                output.add(column);
            }
            if audited {
                gram.add(block);
            }
        });
        let mut outputs: Vec<OutputFacts> = outputs.into_iter().map(Running::facts).collect();
        // The first of them are the ones.
        for (i, (output, twin)) in outputs.iter_mut().zip(twins.iter().skip(1)).enumerate() {
            output.repeated = *twin != i + 1;
        }
        let largest: Vec<u64> = outputs.iter().map(|output| output.first).collect();
        let spread = audited.then(|| leverage(units, &gram, &largest));
        Self {
            units: u64::try_from(units.len()).unwrap_or(u64::MAX),
            outputs,
            spread: spread.and_then(|(rank, leverage)| {
                Some(Spread {
                    rank,
                    leverage: leverage?,
                })
            }),
        }
    }
}

/// An output, some blocks seen.
#[derive(Clone, Copy, Default)]
struct Running {
    facts: OutputFacts,
    /// The first number that is not 0.
    value: i64,
    mixed: bool,
}

impl Running {
    fn add(&mut self, column: &[i64]) {
        let facts = &mut self.facts;
        let mut total = 0_u64;
        for x in column {
            let magnitude = x.unsigned_abs();
            // At most 256 numbers below 2^52.
            total += magnitude;
            if magnitude > facts.second {
                facts.second = magnitude.min(facts.first);
                facts.first = magnitude.max(facts.first);
            }
        }
        facts.total += u128::from(total);
        if self.value == 0 {
            self.value = column.iter().copied().find(|x| *x != 0).unwrap_or(0);
        }
        let value = self.value;
        let (mut nonzero, mut other) = (0_u64, 0_u64);
        for x in column {
            nonzero += u64::from(*x != 0);
            other += u64::from(*x != 0 && *x != value);
        }
        facts.nonzero += nonzero;
        self.mixed |= other > 0;
    }

    fn facts(self) -> OutputFacts {
        OutputFacts {
            indicator: !self.mixed,
            ..self.facts
        }
    }
}

#[cfg(test)]
pub(in crate::records) mod tests {
    use super::*;
    use crate::records::{Accumulator, Clip, RecordUnit, RecordsForm};

    /// Units of these integers, each a record.
    pub(in crate::records) fn units(rows: &[Vec<i64>]) -> Units {
        let form = RecordsForm {
            width: rows[0].len(),
            precision: 0,
            unit: RecordUnit::Record,
            clip: Clip::default(),
            memory: 1 << 30,
        };
        let mut all = Accumulator::new(form).unwrap();
        for row in rows {
            let row: Vec<f64> = row.iter().map(|x| *x as f64).collect();
            all.push(&row, None).unwrap();
        }
        all.finish()
    }

    #[test]
    fn outputs_are_measured() {
        let rows: Vec<Vec<i64>> = (0..1000)
            .map(|i| vec![i - 990, if i % 3 == 0 { -4 } else { 0 }, 0])
            .collect();
        let facts = Facts::of(&units(&rows));
        assert_eq!(facts.units, 1000);
        assert_eq!(
            facts.outputs,
            [
                OutputFacts {
                    nonzero: 999,
                    indicator: false,
                    repeated: false,
                    first: 990,
                    second: 989,
                    total: 990 * 991 / 2 + 45
                },
                OutputFacts {
                    nonzero: 334,
                    indicator: true,
                    repeated: false,
                    first: 4,
                    second: 4,
                    total: 1336
                },
                OutputFacts {
                    nonzero: 0,
                    indicator: true,
                    repeated: false,
                    first: 0,
                    second: 0,
                    total: 0
                },
            ]
        );
        assert_eq!(facts.spread.unwrap().rank, 3);
    }

    #[test]
    fn too_many_outputs_are_not_audited_together() {
        let facts = Facts::of(&units(&[vec![1; MAX_AUDITED + 1]]));
        assert_eq!(facts.spread, None);
        assert_eq!(facts.outputs.len(), MAX_AUDITED + 1);
    }
}
