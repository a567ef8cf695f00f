//! Subsets of a dataset's rows: a stretch of an order that a seed draws.

use super::random;
use crate::datasets::Rows;
use delta_domain::manifest::Subset;

/// The rows of a subset that are there: parts are those of all rows, whatever a join leaves of them.
pub(super) fn rows_of(data: &dyn Rows, subset: &Subset) -> Vec<usize> {
    let mut rows = subset_rows(data.len(), subset);
    rows.retain(|row| data.holds(*row));
    rows
}

/// The rows of a subset, in the dataset's order when its seed is 0 and in one drawn from it otherwise.
///
/// Bounds are cut the same way on both sides, so `0..0.8` and `0.8..1` with one seed share no row and leave none out.
fn subset_rows(total: usize, subset: &Subset) -> Vec<usize> {
    let order: Vec<usize> = if subset.seed == 0 {
        (0..total).collect()
    } else {
        random::permutation(total, random::SUBSET, subset.seed, 0)
    };
    let (from, to) = (cut(total, subset.from), cut(total, subset.to));
    order
        .get(from..to.max(from))
        .map(<[usize]>::to_vec)
        .unwrap_or_default()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a fraction of a row count, clamped to it"
)]
fn cut(total: usize, fraction: f64) -> usize {
    // The small bias makes 0.3 of 10 rows 3 rows, whatever the last bit of 0.3 is.
    ((total as f64 * fraction.clamp(0.0, 1.0) + 1e-9).floor() as usize).min(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complementary_subsets_share_no_row_and_leave_none_out() {
        for seed in [0, 9] {
            let part = |from, to| {
                subset_rows(
                    10,
                    &Subset {
                        part: None,
                        from,
                        to,
                        seed,
                    },
                )
            };
            let mut all = part(0.0, 0.3);
            assert_eq!(all.len(), 3);
            all.extend(part(0.3, 1.0));
            all.sort_unstable();
            assert_eq!(all, (0..10).collect::<Vec<_>>());
        }
        assert_eq!(
            subset_rows(10, &Subset::default()),
            (0..10).collect::<Vec<_>>()
        );
    }
}
