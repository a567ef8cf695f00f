//! Telling the owner, by a POST to a url of his own, that a task waits: `policy.webhook`.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url, redirect};

use super::card_keys::CardKeys;
use super::tls::{self, Trust};
use delta_ports::owner_notice::{OwnerNotice, QuestionNotice};
use delta_ports::{PortError, PortErrorKind};

const OP: &str = "owner.notice";
/// Longest wait for an answer, which is not read.
const WITHIN: Duration = Duration::from_secs(10);

/// [`OwnerNotice`] as a JSON object of [`QuestionNotice`]'s fields, sent once. Any answer from 200 to 299 will do.
#[derive(Debug, Clone)]
pub struct Webhook {
    url: Url,
    client: Client,
}

impl Webhook {
    /// # Errors
    /// `Rejected` when `url` is none of http or https; `Internal` when TLS or the client cannot be set up.
    pub fn new(url: &str) -> Result<Self, PortError> {
        let wrong = || {
            let text = format!("{url:?} is no url that begins with http:// or https://");
            PortError::new(PortErrorKind::Rejected, OP, text)
        };
        let parsed = Url::parse(url).map_err(|_| wrong())?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(wrong());
        }
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .tls_backend_preconfigured(tls::config(&Trust::default(), &CardKeys::default())?)
            .no_proxy()
            .timeout(WITHIN)
            .build()
            .map_err(|e| {
                PortError::new(PortErrorKind::Internal, OP, "the client cannot be set up")
                    .with_source(e)
            })?;
        Ok(Self {
            url: parsed,
            client,
        })
    }
}

#[async_trait]
impl OwnerNotice for Webhook {
    async fn asks(&self, notice: &QuestionNotice) -> Result<(), PortError> {
        let body = serde_json::to_vec(notice).map_err(|e| {
            PortError::new(PortErrorKind::Internal, OP, "the notice cannot be written")
                .with_source(e)
        })?;
        let post = self.client.post(self.url.clone()).body(body);
        let sent = post.header(CONTENT_TYPE, "application/json").send().await;
        let failed = |text: String| PortError::new(PortErrorKind::Unavailable, OP, text);
        match sent {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(failed(format!(
                "the webhook answered with status {}",
                answer.status().as_u16()
            ))),
            Err(e) => {
                Err(failed("the webhook cannot be reached".to_owned()).with_source(e.without_url()))
            }
        }
    }
}
