//! What a handler gets: the request, what all requests share, and who is behind the doors.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use warp::http::HeaderMap;

use super::admission::{Admission, Caller};
use super::extract::body::{BodyStream, Memory};
use super::extract::json::Fields;
use super::extract::query::Query;
use super::options::HttpOptions;
use super::rejection::Rejection;
use super::tls::Tls;
use crate::wire::headers;
use delta_domain::round::message::SignedRequest;
use delta_ports::author_api::AuthorApi;
use delta_ports::blob::ByteStream;
use delta_ports::board_api::{BoardApi, SelfCheck};
use delta_ports::catalogue::CatalogueApi;
use delta_ports::identity::IdentityApi;
use delta_ports::operator_api::OperatorApi;
use delta_ports::owner_api::OwnerApi;
use delta_ports::peer::{CoordinatorApi, PeerAnswer, PeerRejection, PeerRequest};

/// Who answers behind the server. Where nobody does, the endpoints behind that door are not found.
#[derive(Clone)]
pub struct Doors {
    /// For authors of tasks.
    pub authors: Option<Arc<dyn AuthorApi>>,
    /// For the owner of the node.
    pub owner: Option<Arc<dyn OwnerApi>>,
    /// For those who operate the node.
    pub operator: Option<Arc<dyn OperatorApi>>,
    /// For members of rounds.
    pub members: Arc<dyn CoordinatorApi>,
    /// What the node shows of itself.
    pub identity: Option<Arc<dyn IdentityApi>>,
    /// What it publishes about its data.
    pub catalogue: Option<Arc<dyn CatalogueApi>>,
    /// What its dashboard shows.
    pub board: Option<Arc<dyn BoardApi>>,
    /// What `check` finds.
    pub check: Option<Arc<dyn SelfCheck>>,
}

/// What handlers work with.
pub(crate) struct Shared {
    /// Who answers.
    pub(crate) doors: Doors,
    /// Who is let in.
    pub(crate) admission: Admission,
    /// The certificate, where the server has one.
    pub(crate) tls: Option<Tls>,
    /// Limits.
    pub(crate) options: HttpOptions,
    /// Memory for JSON bodies.
    pub(crate) memory: Memory,
    /// Places for pages that are told what changes.
    pub(crate) watching: Arc<Semaphore>,
    /// One place for whoever has everything checked.
    pub(crate) checking: Semaphore,
    /// Whose turn it is to have a dataset's version found out.
    pub(crate) hashing: Semaphore,
    /// Fires when the server stops.
    pub(crate) stopping: CancellationToken,
}

impl Shared {
    /// Who answers authors.
    pub(crate) fn authors(&self) -> Result<&dyn AuthorApi, Rejection> {
        self.doors.authors.as_deref().ok_or_else(Rejection::absent)
    }

    /// Who answers the owner.
    pub(crate) fn owner(&self) -> Result<&dyn OwnerApi, Rejection> {
        self.doors.owner.as_deref().ok_or_else(Rejection::absent)
    }

    /// Who answers operators.
    pub(crate) fn operator(&self) -> Result<&dyn OperatorApi, Rejection> {
        self.doors.operator.as_deref().ok_or_else(Rejection::absent)
    }

    /// Who answers the dashboard.
    pub(crate) fn board(&self) -> Result<&dyn BoardApi, Rejection> {
        self.doors.board.as_deref().ok_or_else(Rejection::absent)
    }

    /// Asks the coordinator, for anybody.
    pub(crate) async fn call(
        &self,
        request: PeerRequest,
        content: Option<ByteStream>,
    ) -> Result<PeerAnswer, PeerRejection> {
        self.doors.members.call(request, content).await
    }

    /// Asks the coordinator what a member signed.
    pub(crate) async fn ask(&self, request: SignedRequest) -> Result<PeerAnswer, PeerRejection> {
        self.call(PeerRequest::Signed(request), None).await
    }
}

impl Call {
    /// As whom the caller was let in, in words.
    pub(crate) fn admitted_as(&self) -> String {
        self.admitted.clone().unwrap_or_else(|| "nobody".to_owned())
    }

    /// The name of the token that the call came with.
    pub(crate) fn author(&self) -> Option<String> {
        let token = self.admitted.as_deref()?.strip_prefix(BY_TOKEN)?;
        Some(token.to_owned())
    }

    /// The fields of a small JSON body.
    pub(crate) async fn small_json(&mut self, memory: &Memory) -> Result<Fields, Rejection> {
        let limit = headers::MAX_SMALL_JSON;
        Ok(Fields::read(&self.headers, &mut self.body, limit, memory).await?)
    }
}

/// What stands before a token's name where a call was admitted by one.
pub(super) const BY_TOKEN: &str = "token ";

/// A request on its way to a handler.
pub(crate) struct Call {
    /// Where it comes from.
    pub(crate) caller: Caller,
    /// As whom it was let in, where that was asked.
    pub(crate) admitted: Option<String>,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its query string.
    pub(crate) query: Query,
    /// Its body.
    pub(crate) body: BodyStream,
    /// Fires when nobody waits for the answer any more.
    pub(crate) gone: CancellationToken,
}
