//! The handler for what tasks under noise have cost: one account a dataset. Not in the original.

use serde::Serialize;

use crate::server::call::{Call, Shared};
use crate::server::rejection::Rejection;
use crate::server::reply::{Response, ok};
use delta_domain::privacy::report::LedgerReport;

/// As `delta-node privacy --json` prints it.
#[derive(Serialize)]
struct PrivacyDto {
    datasets: Vec<LedgerReport>,
}

/// `GET /v1/privacy`
pub(crate) async fn privacy(shared: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    let datasets = shared.owner()?.privacy().await?;
    Ok(ok(&PrivacyDto { datasets }))
}
