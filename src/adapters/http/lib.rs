//! HTTP at both ends: the server for users, operators and members (`docs/protocol/http.md`), and the client with which a member reaches a coordinator.
//!
//! - [`serve`] answers `/v1/*` for an [`AuthorApi`](delta_ports::author_api::AuthorApi) and an
//!   [`OwnerApi`](delta_ports::owner_api::OwnerApi), and `/v1/coord/*` for a [`CoordinatorApi`](delta_ports::peer::CoordinatorApi), in the
//!   shapes that the original's clients know.
//! - [`HttpPeers`] is the [`PeerTransport`](delta_ports::peer::PeerTransport) over HTTP.
//!
//! Not here: any decision. Signatures, membership and phases are judged by the app; this folder only turns bytes into checked values
//! and answers into bytes. No type of warp, hyper or reqwest leaves it.
//!
//! What must stay true: nothing a remote sends panics, blocks for ever or fills memory. Bodies are counted or streamed, every wait has a limit,
//! and each error type becomes a status in exactly one place (`rejection.rs`).

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::cast_possible_truncation,
        clippy::print_stderr
    )
)]

mod client;
mod pem;
#[cfg(feature = "testing")]
pub mod probe;
mod server;
mod wire;

pub use client::notice::Webhook;
pub use client::peers::{HttpPeers, PeerOptions};
pub use client::tls::Trust;
pub use client::url_policy::{Lookup, SystemLookup, UrlPolicy};
pub use client::users::{LogLine, TaskInfo, UserClient, Way};
pub use pem::{SelfSigned, self_signed};
pub use server::admission::{Admission, KnownTokens, Serves};
pub use server::call::Doors;
pub use server::listen::{HttpServer, serve};
pub use server::options::HttpOptions;
pub use server::routes::{Access, endpoints};
pub use server::tls::TlsFiles;
