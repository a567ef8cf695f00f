//! Fetching another node's identity document: [`IdentitySource`] over HTTP, by the same client and under the same policy as rounds.

use async_trait::async_trait;
use reqwest::Url;

use super::answer::{good, parsed};
use super::peers::HttpPeers;
use delta_domain::identity::{Document, MAX_DOCUMENT_BYTES};
use delta_domain::ids::Digest;
use delta_ports::PortError;
use delta_ports::identity::IdentitySource;

const OP: &str = "peer.identity";

#[async_trait]
impl IdentitySource for HttpPeers {
    async fn document_of(&self, url: &str) -> Result<Document, PortError> {
        let get = self.get_document(url, "v1/identity")?;
        let response = good(OP, get.send().await).await?;
        parsed(OP, response, MAX_DOCUMENT_BYTES).await
    }

    fn trust_key(&self, url: &str, key: &Digest) {
        let host = Url::parse(url).ok();
        let host = host.as_ref().and_then(Url::host_str);
        if let Some(host) = host {
            self.keys.trust(host.trim_matches(['[', ']']), *key);
        }
    }
}
