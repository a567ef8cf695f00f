//! Fetching another node's identity document: [`IdentitySource`] over HTTP, by the same client and under the same policy as rounds.

use async_trait::async_trait;
use reqwest::Url;

use super::answer::{good, parsed};
use super::peers::HttpPeers;
use crate::wire::seen::SeenDto;
use delta_domain::identity::{Document, MAX_DOCUMENT_BYTES};
use delta_domain::ids::{Address, Digest};
use delta_domain::secagg::keys::PublicKey;
use delta_ports::identity::IdentitySource;
use delta_ports::{PortError, PortErrorKind};

const OP: &str = "peer.identity";

#[async_trait]
impl IdentitySource for HttpPeers {
    async fn document_of(&self, url: &str) -> Result<Document, PortError> {
        let get = self.get_document(url, "v1/identity")?;
        let response = good(OP, get.send().await).await?;
        parsed(OP, response, MAX_DOCUMENT_BYTES).await
    }

    async fn seen_by(&self, url: &str, address: &Address) -> Result<Option<bool>, PortError> {
        let path = format!("v1/identity/seen?address={address}");
        let response = good(OP, self.get_document(url, &path)?.send().await).await?;
        let SeenDto { seen } = parsed(OP, response, SeenDto::MAX_BYTES).await?;
        Ok(seen)
    }

    fn trust_key(&self, who: &PublicKey, url: &str, key: &Digest) -> Result<(), PortError> {
        // Whatever comes of it, what was said before is over.
        self.keys.distrust(who);
        let denied = || {
            let text = format!("{url} is no https url with a host: no TLS key is known for it");
            PortError::new(PortErrorKind::Denied, "peer.trust_key", text)
        };
        let url = Url::parse(url).map_err(|e| denied().with_source(e))?;
        let (Some(host), "https") = (url.host_str(), url.scheme()) else {
            return Err(denied());
        };
        self.keys.trust(who, host.trim_matches(['[', ']']), *key)
    }

    fn distrust_key(&self, who: &PublicKey) {
        self.keys.distrust(who);
    }
}
