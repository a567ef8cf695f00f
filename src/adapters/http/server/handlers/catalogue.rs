//! What the node publishes about its data, what the others do, and what there is. Not in the original.

use serde::Serialize;

use crate::server::call::{Call, Shared};
use crate::server::rejection::Rejection;
use crate::server::reply::{Response, ok};
use delta_domain::catalogue::Listing;
use delta_ports::catalogue::{Found, NetworkListing, NodeListing, OwnDataset};

/// `GET /v1/catalogue`: what everybody may read about this node's data (docs/protocol/identity.md, Catalogue).
pub(crate) async fn catalogue(shared: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    let door = shared.doors.catalogue.as_ref();
    let signed = door.and_then(|door| door.catalogue());
    Ok(ok(&*signed.ok_or_else(Rejection::absent)?))
}

/// `GET /v1/network/datasets`
pub(crate) async fn network(shared: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    let found = shared.authors()?.network_datasets().await?;
    Ok(ok(&NetworkDto::from(&found)))
}

/// `GET /v1/datasets`
pub(crate) async fn datasets(shared: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    let found = shared.owner()?.datasets().await?;
    Ok(ok(&DatasetsDto {
        datasets: found.iter().map(DatasetDto::from).collect(),
    }))
}

#[derive(Serialize)]
struct NetworkDto<'a> {
    nodes: Vec<NodeDto<'a>>,
    unasked: u64,
}

#[derive(Serialize)]
struct NodeDto<'a> {
    address: &'a str,
    name: &'a str,
    url: &'a str,
    organisation: Option<&'a str>,
    vouched: bool,
    own: bool,
    state: &'static str,
    detail: Option<&'a str>,
    issued_at: Option<u64>,
    drivers: &'a [String],
    datasets: &'a [Listing],
}

impl<'a> From<&'a NetworkListing> for NetworkDto<'a> {
    fn from(found: &'a NetworkListing) -> Self {
        Self {
            nodes: found.nodes.iter().map(NodeDto::from).collect(),
            unasked: found.unasked,
        }
    }
}

impl<'a> From<&'a NodeListing> for NodeDto<'a> {
    fn from(node: &'a NodeListing) -> Self {
        let (state, detail) = match &node.found {
            Found::Published(_) => ("published", None),
            Found::Nothing => ("nothing", None),
            Found::Away(why) => ("away", Some(why.as_str())),
            Found::Doubted(why) => ("doubted", Some(why.as_str())),
        };
        let catalogue = match &node.found {
            Found::Published(catalogue) => Some(&**catalogue),
            Found::Nothing | Found::Away(_) | Found::Doubted(_) => None,
        };
        Self {
            address: node.address.as_str(),
            name: &node.name,
            url: &node.url,
            organisation: node.organisation.as_deref(),
            vouched: node.vouched,
            own: node.own,
            state,
            detail,
            issued_at: catalogue.map(|c| c.issued_at().0),
            drivers: catalogue.map_or(&[], |c| c.drivers()),
            datasets: catalogue.map_or(&[], |c| c.datasets()),
        }
    }
}

#[derive(Serialize)]
struct DatasetsDto<'a> {
    datasets: Vec<DatasetDto<'a>>,
}

#[derive(Serialize)]
struct DatasetDto<'a> {
    name: &'a str,
    description: &'a str,
    usable: bool,
    rules: bool,
    approval: &'static str,
    published: bool,
}

impl<'a> From<&'a OwnDataset> for DatasetDto<'a> {
    fn from(dataset: &'a OwnDataset) -> Self {
        Self {
            name: dataset.name.as_str(),
            description: &dataset.description,
            usable: dataset.usable,
            rules: dataset.ruled,
            approval: dataset.approval.name(),
            published: dataset.published,
        }
    }
}
