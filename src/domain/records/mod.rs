//! The `records` driver's rules: the node bounds, counts and sums what a graph makes of each record, and releases only what is safe.
//!
//! [`proof`] says what has been found out about a task's graphs before anything runs; how a graph is followed is the business of the
//! executor's adapter, where untrusted graphs are read.
//!
//! What must stay true: nothing that a graph's author wrote can make a release unsafe by these rules; a verdict depends on the data
//! and the rules alone, not on how rows came in batches; nothing of the data is in a public message. In words: `docs/policy.md`.

mod accumulate;
mod big;
mod blocks;
mod class;
mod clip;
mod cohort;
mod exact;
mod factor;
mod facts;
mod gram;
mod judge;
mod leverage;
mod member;
mod overlap;
mod packed;
mod pair;
mod product;
pub mod proof;
mod quantise;
mod row_set;
mod rule;
mod rules;
mod stream;

pub use accumulate::{
    Accumulator, MAX_RECORDS, MAX_WIDTH, RecordUnit, RecordsError, RecordsForm, Units,
};
pub use class::{classify, member_spend, records_steps};
pub use clip::{Clip, ClipError};
pub use cohort::{cohort_digest, release_point, same_cohort};
pub use facts::{Facts, MAX_AUDITED, OutputFacts, Spread};
pub use judge::{Finding, Verdict, audit, judge};
pub use member::bound_member;
pub use overlap::{NO_UNIT, ReleasedRows};
pub use product::{ProductForm, ProductSums, ProductTotals, least_product_bound};
pub use quantise::MAX_MAGNITUDE;
pub use row_set::{RowSet, RowSetError};
pub use rule::RecordsRule;
pub use rules::ReleaseRules;
pub use stream::UnitSums;
