//! A masked result on its way to the coordinator: a form with one file, streamed, and given up when nothing moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, RequestBuilder, Response};

use super::answer::good;
use crate::wire::headers;
use delta_domain::ids::{Digest, encode_hex};
use delta_domain::round::message::SignedRequest;
use delta_ports::blob::ByteStream;
use delta_ports::{PortError, PortErrorKind};

/// A form that is ready to be sent.
pub(crate) struct Upload {
    digest: Digest,
    len: u64,
    boundary: String,
    /// Length of the whole form in bytes.
    total: u64,
    body: Body,
    /// Pieces that have left so far.
    sent: Arc<AtomicU64>,
}

impl Upload {
    /// The form of `request`, whose file is `content` of `len` bytes with this digest.
    pub(crate) fn new(
        request: &SignedRequest,
        digest: &Digest,
        len: u64,
        content: ByteStream,
    ) -> Self {
        // The content cannot contain its own digest, so no line of it can be the boundary.
        let boundary = format!("delta{}", encode_hex(&digest.0).trim_start_matches("0x"));
        let text = |name: &str, value: &str| {
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
        };
        let head = [
            text("address", request.sender.as_str()),
            text("task_id", request.task.as_str()),
            text("round", &request.round.to_string()),
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}.result\"\r\nContent-Type: application/octet-stream\r\n\r\n",
                request.sender
            ),
        ]
        .concat();
        let tail = format!("\r\n--{boundary}--\r\n");
        let total = len + (head.len() + tail.len()) as u64;
        let sent = Arc::new(AtomicU64::new(0));
        let body = stream::once(async { Ok(Bytes::from(head)) })
            .chain(exactly(len, content))
            .chain(stream::once(async { Ok(Bytes::from(tail)) }));
        let counter = sent.clone();
        let body = body.inspect(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        Self {
            digest: *digest,
            len,
            boundary,
            total,
            body: Body::wrap_stream(body),
            sent,
        }
    }

    /// Sends it with `post` and gives up when nothing moves for between one and two times `idle`.
    pub(crate) async fn send(
        self,
        op: &'static str,
        post: RequestBuilder,
        idle: Duration,
    ) -> Result<Response, PortError> {
        let post = post
            .header(headers::DIGEST, self.digest.to_string())
            .header(headers::LENGTH, self.len)
            .header(CONTENT_LENGTH, self.total)
            .header(
                CONTENT_TYPE,
                format!("multipart/form-data; boundary={}", self.boundary),
            )
            .body(self.body);
        let sending = async { good(op, post.send().await).await };
        let mut sending = std::pin::pin!(sending);
        let mut before = 0;
        loop {
            if let Ok(response) = tokio::time::timeout(idle, sending.as_mut()).await {
                return response;
            }
            let now = self.sent.load(Ordering::Relaxed);
            if now == before {
                return Err(PortError::new(
                    PortErrorKind::Timeout,
                    op,
                    "the coordinator takes no more of the upload, or does not answer it",
                ));
            }
            before = now;
        }
    }
}

/// The content, if it has exactly `len` bytes; an error at the end, or at the first byte too many, if not.
fn exactly(len: u64, content: ByteStream) -> ByteStream {
    let wrong = move |got: u64| {
        PortError::new(
            PortErrorKind::Internal,
            "peer.result",
            format!("the content has {got} bytes where {len} were signed"),
        )
    };
    Box::pin(stream::unfold(
        Some((content, 0_u64)),
        move |state| async move {
            let (mut content, seen) = state?;
            match content.next().await {
                Some(Ok(piece)) => {
                    let seen = seen + piece.len() as u64;
                    if seen > len {
                        Some((Err(wrong(seen)), None))
                    } else {
                        Some((Ok(piece), Some((content, seen))))
                    }
                }
                Some(Err(error)) => Some((Err(error), None)),
                None if seen < len => Some((Err(wrong(seen)), None)),
                None => None,
            }
        },
    ))
}
