//! Who gets in: tokens, and what the server asks of callers.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::adapters::http::{Admission, KnownTokens};
use crate::adapters::system::{self, FileTokens};
use crate::config::Config;
use delta_domain::access::TokenSecret;
use delta_ports::PortError;
use delta_ports::clock::Clock;
use delta_ports::entropy::Entropy;
use delta_ports::tokens::TokenStore;

/// The tokens of a node, whether it runs or not.
pub(crate) fn tokens(config: &Config) -> Arc<dyn TokenStore> {
    Arc::new(FileTokens::new(
        config.token_file(),
        config.own_token_file(),
    ))
}

/// The token that a node makes for itself, made now where there is none.
///
/// # Errors
/// It cannot be read or made.
pub(crate) async fn own_token(
    config: &Config,
    entropy: &dyn Entropy,
) -> Result<TokenSecret, PortError> {
    system::load_or_create_own_token(&config.own_token_file(), entropy).await
}

/// The token in a file; `None` when there is no such file.
///
/// # Errors
/// It cannot be read, or others can read it too.
pub(crate) async fn read_token(file: &Path) -> Result<Option<TokenSecret>, PortError> {
    system::read_token(file).await
}

/// Whom the API of a configuration lets in.
pub(super) async fn admission(
    config: &Config,
    clock: &Arc<dyn Clock>,
    entropy: &dyn Entropy,
) -> anyhow::Result<Admission> {
    own_token(config, entropy)
        .await
        .context("the node's own token cannot be used")?;
    let admission = Admission {
        tokens: Some(KnownTokens {
            store: tokens(config),
            clock: clock.clone(),
        }),
        trust_loopback: config.trusts_loopback(),
        trusted_networks: config.api.trusted_networks.clone(),
        encrypted: config.api.tls.is_some(),
        hosts: config.api.hosts.iter().cloned().collect(),
        ..Admission::default()
    };
    Ok(admission.called(&config.node.url))
}
