//! Fetching another node's catalogue: [`CatalogueSource`] over HTTP, by the same client and under the same policy as identities.

use async_trait::async_trait;

use super::answer::{good, parsed};
use super::peers::HttpPeers;
use delta_domain::catalogue::{MAX_CATALOGUE_BYTES, SignedCatalogue};
use delta_ports::PortError;
use delta_ports::catalogue::CatalogueSource;

const OP: &str = "peer.catalogue";

#[async_trait]
impl CatalogueSource for HttpPeers {
    async fn catalogue_of(&self, url: &str) -> Result<SignedCatalogue, PortError> {
        let get = self.get_document(url, "v1/catalogue")?;
        let response = good(OP, get.send().await).await?;
        parsed(OP, response, MAX_CATALOGUE_BYTES).await
    }
}
