//! Versions of datasets on the data hub: registered and looked at by the owner. Not in the original's node.

use serde::Serialize;

use crate::server::call::{Call, Shared};
use crate::server::extract::validation::FieldErrors;
use crate::server::rejection::Rejection;
use crate::server::reply::{Response, ok};
use delta_domain::ids::DatasetName;
use delta_ports::owner_api::{OnHub, RegisteredVersion};

#[derive(Serialize)]
struct VersionDto<'a> {
    dataset: &'a str,
    index: u32,
    version: String,
    commitment: String,
    at: u64,
    confirmed: bool,
    current: Option<bool>,
    on_hub: Option<&'static str>,
}

impl<'a> From<&'a RegisteredVersion> for VersionDto<'a> {
    fn from(one: &'a RegisteredVersion) -> Self {
        Self {
            dataset: one.dataset.as_str(),
            index: one.index,
            version: one.version.to_string(),
            commitment: one.commitment.to_string(),
            at: one.at.0,
            confirmed: one.confirmed,
            current: one.current,
            on_hub: one.on_hub.map(|on_hub| match on_hub {
                OnHub::Same => "same",
                OnHub::Nothing => "nothing",
                OnHub::Another => "another",
            }),
        }
    }
}

#[derive(Serialize)]
struct VersionsDto<'a> {
    versions: Vec<VersionDto<'a>>,
}

/// `POST /v1/datasets/register`: `{name}`. One dataset is read at a time.
pub(crate) async fn register(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let fields = call.small_json(&shared.memory).await?;
    let mut errors = FieldErrors::body();
    let name = fields.text(&mut errors, "name");
    errors.settle()?;
    let name = parsed(&name)?;
    let version = shared.owner()?.register_dataset(&name).await?;
    Ok(ok(&VersionDto::from(&version)))
}

/// `GET /v1/datasets/registered`
pub(crate) async fn registered(shared: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    let Ok(_turn) = shared.hashing.acquire().await else {
        return Err(Rejection::busy("this node is stopping"));
    };
    let versions = shared.owner()?.registered_datasets().await?;
    Ok(listed(&versions))
}

/// `GET /v1/datasets/history?name=`
pub(crate) async fn history(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let name = parsed(call.query.get("name").unwrap_or_default())?;
    let versions = shared.owner()?.dataset_history(&name).await?;
    Ok(listed(&versions))
}

fn listed(versions: &[RegisteredVersion]) -> Response {
    ok(&VersionsDto {
        versions: versions.iter().map(VersionDto::from).collect(),
    })
}

fn parsed(name: &str) -> Result<DatasetName, Rejection> {
    name.parse()
        .map_err(|_| Rejection::bad("name must be the name of a dataset"))
}
