//! Request bodies under control: every byte counted, every wait limited.
//!
//! `Content-Length` is a hint and nothing more; a chunked body has none.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use delta_ports::{PortError, PortErrorKind};

/// A request body, piece by piece.
pub(crate) type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send + Sync>>;

/// What is wrong with a body. The text is for the sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// Longer than allowed or announced.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// What is allowed.
        limit: u64,
    },
    /// The part ended before its announced length.
    #[error("the file has {got} bytes where {announced} were announced")]
    Short {
        /// Bytes that came.
        got: u64,
        /// Bytes that were announced.
        announced: u64,
    },
    /// The sender stalls.
    #[error("the body came too slowly")]
    TooSlow,
    /// The connection ended within the body.
    #[error("the body is incomplete")]
    Broken,
    /// No valid multipart. The sentence is FastAPI's.
    #[error("There was an error parsing the body")]
    Malformed,
    /// All memory for bodies is in use.
    #[error("the node is busy; try again later")]
    NoMemory,
}

impl From<&BodyError> for PortError {
    fn from(error: &BodyError) -> Self {
        let kind = match error {
            BodyError::TooLarge { .. } => PortErrorKind::Rejected,
            BodyError::Short { .. } | BodyError::Broken | BodyError::Malformed => {
                PortErrorKind::Corrupt
            }
            BodyError::TooSlow => PortErrorKind::Timeout,
            BodyError::NoMemory => PortErrorKind::Exhausted,
        };
        Self::new(kind, "http.body", error.to_string())
    }
}

/// How fast a body must come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Longest wait for the next piece.
    pub(crate) idle: Duration,
    /// Waiting that is free of charge, all pauses together. Beyond it the sender must have kept [`MIN_RATE`].
    pub(crate) grace: Duration,
}

/// Bytes per second below which a sender is taken for an attacker.
const MIN_RATE: u128 = 1024;

/// Puts a body under a pace.
pub(crate) fn paced<S, B, E>(body: S, pace: Pace) -> BodyStream
where
    S: Stream<Item = Result<B, E>> + Send + Sync + 'static,
    B: Buf,
    E: std::fmt::Display,
{
    let body = body.map(|piece| match piece {
        Ok(mut piece) => Ok(piece.copy_to_bytes(piece.remaining())),
        Err(error) => {
            tracing::debug!(%error, "a request body broke off");
            Err(BodyError::Broken)
        }
    });
    Box::pin(Paced {
        inner: Box::pin(body),
        pace,
        waiting: None,
        waited: Duration::ZERO,
        received: 0,
    })
}

struct Paced {
    inner: BodyStream,
    pace: Pace,
    /// Since when we wait for the sender, and the alarm.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    waited: Duration,
    received: u128,
}

impl Paced {
    fn is_too_slow(&self) -> bool {
        let charged = self.waited.saturating_sub(self.pace.grace);
        self.received * 1000 < charged.as_millis() * MIN_RATE
    }
}

impl Stream for Paced {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        match this.inner.as_mut().poll_next(cx) {
            Poll::Ready(piece) => {
                if let Some((since, _)) = this.waiting.take() {
                    this.waited += since.elapsed();
                }
                if let Some(Ok(bytes)) = &piece {
                    this.received += bytes.len() as u128;
                    if this.is_too_slow() {
                        return Poll::Ready(Some(Err(BodyError::TooSlow)));
                    }
                }
                Poll::Ready(piece)
            }
            Poll::Pending => {
                let idle = this.pace.idle;
                let (_, alarm) = this.waiting.get_or_insert_with(|| {
                    let now = Instant::now();
                    (now, Box::pin(sleep_until(now + idle)))
                });
                alarm
                    .as_mut()
                    .poll(cx)
                    .map(|()| Some(Err(BodyError::TooSlow)))
            }
        }
    }
}

/// Memory for whole bodies, shared by all requests.
#[derive(Debug, Clone)]
pub(crate) struct Memory(Arc<Semaphore>);

/// Bytes in one permit of [`Memory`].
const UNIT: usize = 1024;

impl Memory {
    /// Room for `bytes` bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(
            (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS),
        )))
    }

    fn take(&self, bytes: usize) -> Result<SemaphorePermit<'_>, BodyError> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).map_err(|_| BodyError::NoMemory)?;
        self.0
            .try_acquire_many(units)
            .map_err(|_| BodyError::NoMemory)
    }
}

/// Reads a whole body of at most `limit` bytes and passes it to `parse`. The memory is given back afterwards.
pub(crate) async fn read_whole<T>(
    body: &mut BodyStream,
    limit: usize,
    memory: &Memory,
    parse: impl FnOnce(&[u8]) -> T,
) -> Result<T, BodyError> {
    let mut content = Vec::new();
    let mut taken = memory.take(0)?;
    while let Some(piece) = body.next().await {
        let piece = piece?;
        if content.len() + piece.len() > limit {
            return Err(BodyError::TooLarge {
                limit: limit as u64,
            });
        }
        let needed = content.len() + piece.len();
        let missing = needed.saturating_sub(taken.num_permits() * UNIT);
        taken.merge(memory.take(missing)?);
        content.extend_from_slice(&piece);
    }
    Ok(parse(&content))
}

/// Reads on for a little while, so that a client that is still sending gets to see its answer.
pub(crate) async fn drain(body: &mut BodyStream) {
    const AT_MOST: usize = 4 << 20;
    const WITHIN: Duration = Duration::from_secs(5);
    let reading = async {
        let mut seen = 0;
        while let Some(Ok(piece)) = body.next().await {
            seen += piece.len();
            if seen > AT_MOST {
                break;
            }
        }
    };
    // Best effort: whether it ended or ran out of time, the answer is the same.
    if timeout(WITHIN, reading).await.is_err() {
        tracing::debug!("a request body is left unread");
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    const QUICK: Pace = Pace {
        idle: Duration::from_millis(20),
        grace: Duration::from_secs(30),
    };

    fn pieces(list: &[&'static [u8]]) -> BodyStream {
        let items: Vec<Result<Bytes, Infallible>> =
            list.iter().map(|p| Ok(Bytes::from_static(p))).collect();
        paced(stream::iter(items), QUICK)
    }

    #[tokio::test]
    async fn a_body_of_the_limit_is_read_and_one_byte_more_is_not() {
        let memory = Memory::new(1 << 20);
        let whole = read_whole(&mut pieces(&[b"ab", b"c"]), 3, &memory, <[u8]>::to_vec).await;
        assert_eq!(whole, Ok(b"abc".to_vec()));
        let whole = read_whole(&mut pieces(&[b"ab", b"cd"]), 3, &memory, <[u8]>::to_vec).await;
        assert_eq!(whole, Err(BodyError::TooLarge { limit: 3 }));
    }

    #[tokio::test]
    async fn bodies_share_memory_and_give_it_back() {
        let memory = Memory::new(2 * UNIT);
        let big: &'static [u8] = &[0; 3 * UNIT];
        assert_eq!(
            read_whole(&mut pieces(&[big]), 1 << 20, &memory, |_| ()).await,
            Err(BodyError::NoMemory)
        );
        let fits: &'static [u8] = &[0; 2 * UNIT];
        for _ in 0..3 {
            assert_eq!(
                read_whole(&mut pieces(&[fits]), 1 << 20, &memory, |_| ()).await,
                Ok(())
            );
        }
    }

    #[tokio::test]
    async fn a_silent_sender_is_given_up() {
        let silent = stream::pending::<Result<Bytes, Infallible>>();
        assert_eq!(
            paced(silent, QUICK).next().await,
            Some(Err(BodyError::TooSlow))
        );
    }

    #[test]
    fn a_dripping_sender_is_too_slow_once_its_grace_is_used_up() {
        let paced = |waited, received| Paced {
            inner: pieces(&[]),
            pace: QUICK,
            waiting: None,
            waited: Duration::from_secs(waited),
            received,
        };
        assert!(!paced(29, 1).is_too_slow());
        assert!(paced(40, 5000).is_too_slow());
        assert!(!paced(40, 11 * 1024).is_too_slow());
    }
}
