//! A client of a node's API for its users: what `delta-node task ...` speaks.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use zeroize::Zeroizing;

use super::card_keys::CardKeys;
use super::tls::{self, Trust};
use delta_domain::access::TokenSecret;
use delta_domain::ids::{Digest, TaskId};
use delta_ports::storage::LocalTaskId;
use delta_ports::{PortError, PortErrorKind};

/// Longest wait for an answer that is computed, not streamed.
const CALL_WITHIN: Duration = Duration::from_secs(60);
/// Longest wait for the word that a node lives.
const ALIVE_WITHIN: Duration = Duration::from_secs(5);
/// Largest JSON answer taken.
const MAX_JSON: usize = 16 << 20;
/// Between the parts of an upload. A bundle is a zip file: it cannot contain this line by accident in any way that matters,
/// because the length of the part is given too.
const BOUNDARY: &str = "delta-node-7c1fd2a64b8f4f0e9a35";

/// A task as the API shows it.
#[derive(Debug, Clone, Deserialize)]
pub struct TaskInfo {
    /// Local id.
    pub id: LocalTaskId,
    /// Unix milliseconds.
    pub created_at: u64,
    /// Display name.
    pub name: String,
    /// `horizontal` or `hlr`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The coordinator's address; empty while pending.
    pub creator: String,
    /// Name of the status.
    pub status: String,
}

/// A log record as the API shows it.
#[derive(Debug, Clone, Deserialize)]
pub struct LogLine {
    /// Its id; the next request starts after it.
    pub id: i64,
    /// Unix milliseconds.
    pub created_at: u64,
    /// The sentence.
    pub message: String,
    /// The transaction it speaks of.
    pub tx_hash: Option<String>,
}

#[derive(Deserialize)]
struct Filter {
    filter: String,
}

/// How a client gets to its node.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// Whose certificates it trusts.
    pub trust: Trust,
    /// Where a name is, whatever others say of it.
    pub at: Option<(String, SocketAddr)>,
}

/// A client of one node.
#[derive(Debug, Clone)]
pub struct UserClient {
    base: String,
    client: Client,
}

impl UserClient {
    /// A client of the node at `base`, which shows `token` with every request. Redirects are not followed: the token is for this node.
    ///
    /// # Errors
    /// `Internal` when TLS or the client cannot be set up.
    pub fn new(base: &str, token: Option<&TokenSecret>, way: &Way) -> Result<Self, PortError> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let text = Zeroizing::new(format!("Bearer {}", token.text().as_str()));
            let mut value = HeaderValue::from_str(&text).map_err(|e| {
                PortError::new(
                    PortErrorKind::Internal,
                    "client.new",
                    "the token is no text",
                )
                .with_source(e)
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut builder = Client::builder();
        if let Some((name, address)) = &way.at {
            builder = builder.resolve(name, *address);
        }
        let client = builder
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .tls_backend_preconfigured(tls::config(&way.trust, &CardKeys::default())?)
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .build()
            .map_err(|e| {
                PortError::new(
                    PortErrorKind::Internal,
                    "client.new",
                    "the HTTP client cannot be set up",
                )
                .with_source(e)
            })?;
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            client,
        })
    }

    /// Submits a bundle.
    ///
    /// # Errors
    /// `Rejected` with the node's sentence; `Unavailable` when it cannot be reached.
    pub async fn submit(&self, bundle: &[u8]) -> Result<LocalTaskId, PortError> {
        #[derive(Deserialize)]
        struct Submitted {
            task_id: LocalTaskId,
        }
        let mut body = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"task.delta\"\r\n\
             Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
            bundle.len()
        )
        .into_bytes();
        body.extend_from_slice(bundle);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let request = self
            .client
            .post(format!("{}/v1/task", self.base))
            .header(
                "content-type",
                format!("multipart/form-data; boundary={BOUNDARY}"),
            )
            .timeout(CALL_WITHIN * 10)
            .body(body);
        let submitted: Submitted = self.json(request).await?;
        Ok(submitted.task_id)
    }

    /// One task.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn task(&self, id: u64) -> Result<TaskInfo, PortError> {
        self.json(self.get(format!("/v1/task/metadata?task_id={id}")))
            .await
    }

    /// Whether the node answers that it lives.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn alive(&self) -> Result<(), PortError> {
        let asked = self.get("/healthz".into());
        self.good(asked.timeout(ALIVE_WITHIN)).await.map(drop)
    }

    /// Cancels a task, and answers with it as it is then.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn cancel(&self, id: u64) -> Result<TaskInfo, PortError> {
        let body = serde_json::json!({ "task_id": id });
        self.json(self.post_json("/v1/task/cancel", &body)).await
    }

    /// Takes the node out of a task of the network.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn leave_task(&self, task: &TaskId) -> Result<(), PortError> {
        let body = serde_json::json!({ "task_id": task });
        let left: serde_json::Value = self.json(self.post_json("/v1/task/leave", &body)).await?;
        drop(left);
        Ok(())
    }

    /// What asks the owner, and what was decided, as the API has it.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn approvals(&self) -> Result<serde_json::Value, PortError> {
        self.json(self.get("/v1/approvals".into())).await
    }

    /// Decides about a task; `decision`: `allow` or `deny`, `scope`: `once`, `always`, or `until` with a day.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn decide(
        &self,
        task: &TaskId,
        decision: &str,
        scope: &str,
        until: Option<&str>,
    ) -> Result<serde_json::Value, PortError> {
        let body = serde_json::json!({
            "task_id": task, "decision": decision, "scope": scope, "until": until,
        });
        self.json(self.post_json("/v1/approvals", &body)).await
    }

    /// Takes a decision back.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn revoke(&self, id: &Digest) -> Result<(), PortError> {
        let body = serde_json::json!({ "id": id });
        let answer: serde_json::Value = self
            .json(self.post_json("/v1/approvals/revoke", &body))
            .await?;
        drop(answer);
        Ok(())
    }

    /// Log records from `start` on.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn logs(&self, id: u64, start: i64) -> Result<Vec<LogLine>, PortError> {
        self.json(self.get(format!(
            "/v1/task/logs?task_id={id}&start={start}&limit=100"
        )))
        .await
    }

    /// The result file, streamed.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn result(
        &self,
        id: u64,
    ) -> Result<impl Stream<Item = Result<Bytes, PortError>> + use<>, PortError> {
        use futures_util::StreamExt as _;
        let request = self
            .client
            .get(format!("{}/v1/task/result?task_id={id}", self.base));
        let response = self.good(request).await?;
        Ok(response.bytes_stream().map(|piece| {
            piece.map_err(|e| {
                PortError::new(
                    PortErrorKind::Unavailable,
                    "client.result",
                    "the download broke off",
                )
                .with_source(e)
            })
        }))
    }

    /// Where the node is.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Registers on the data hub what a dataset holds now. The node may have to read all of it.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn register_dataset(&self, name: &str) -> Result<serde_json::Value, PortError> {
        let body = serde_json::json!({ "name": name });
        let call = self.post_json("/v1/datasets/register", &body);
        self.json(call.timeout(CALL_WITHIN * 10)).await
    }

    /// The versions of a dataset, compared with what the data hub shows.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn dataset_history(&self, name: &str) -> Result<serde_json::Value, PortError> {
        let path = format!("{}/v1/datasets/history", self.base);
        let url = reqwest::Url::parse_with_params(&path, [("name", name)]).map_err(|e| {
            let text = "the node's url is none";
            PortError::new(PortErrorKind::Rejected, "client.call", text).with_source(e)
        })?;
        self.json(self.client.get(url).timeout(CALL_WITHIN)).await
    }

    /// The last registered version of each dataset, compared with what it holds now.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn registered_datasets(&self) -> Result<serde_json::Value, PortError> {
        let call = self.get("/v1/datasets/registered".into());
        self.json(call.timeout(CALL_WITHIN * 10)).await
    }

    /// What the node answers to a GET of `path`.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn fetch(&self, path: &str) -> Result<serde_json::Value, PortError> {
        self.json(self.get(path.to_owned())).await
    }

    /// What the node says of what it needs, whether it is there or not.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn ready(&self) -> Result<serde_json::Value, PortError> {
        let answer = self.sent(self.get("/readyz".into())).await?;
        let text = answer.text().await.unwrap_or_default();
        serde_json::from_str(&text).map_err(|e| {
            let text = "the answer is not what a node says; is this the url of a node?";
            PortError::new(PortErrorKind::Corrupt, "client.call", text).with_source(e)
        })
    }

    /// What the node's log says, as a filter.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn log_filter(&self) -> Result<String, PortError> {
        let said: Filter = self.json(self.get("/v1/log/filter".into())).await?;
        Ok(said.filter)
    }

    /// Lets the node's log say more or less; answers with the filter as it is then.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn set_log_filter(&self, filter: &str) -> Result<String, PortError> {
        let body = serde_json::json!({ "filter": filter });
        let said: Filter = self.json(self.post_json("/v1/log/filter", &body)).await?;
        Ok(said.filter)
    }

    fn post_json(&self, path: &str, body: &serde_json::Value) -> reqwest::RequestBuilder {
        self.client
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .timeout(CALL_WITHIN)
            .body(body.to_string())
    }

    fn get(&self, path: String) -> reqwest::RequestBuilder {
        self.client
            .get(format!("{}{path}", self.base))
            .timeout(CALL_WITHIN)
    }

    async fn json<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, PortError> {
        let mut response = self.good(request).await?;
        let corrupt = |text: &str| PortError::new(PortErrorKind::Corrupt, "client.call", text);
        let mut body = Vec::new();
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|e| corrupt("the answer broke off").with_source(e))?
        {
            if body.len() + piece.len() > MAX_JSON {
                return Err(corrupt("the answer is too long"));
            }
            body.extend_from_slice(&piece);
        }
        serde_json::from_slice(&body).map_err(|e| {
            corrupt("the answer is not what a node says; is this the url of a node?").with_source(e)
        })
    }

    async fn sent(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, PortError> {
        request.send().await.map_err(|e| {
            let text = format!("no node answers at {}; is it running?", self.base);
            PortError::new(PortErrorKind::Unavailable, "client.call", text).with_source(e)
        })
    }

    async fn good(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, PortError> {
        let response = self.sent(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        let detail = serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|v| {
                v.get("detail")
                    .map(|d| d.as_str().map_or_else(|| d.to_string(), str::to_owned))
            })
            .unwrap_or_else(|| format!("the node answers {status}"));
        Err(PortError::new(
            PortErrorKind::Rejected,
            "client.call",
            detail,
        ))
    }
}
