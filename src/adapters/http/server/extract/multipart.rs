//! `multipart/form-data`, streamed: parts come one after another and nothing but short texts is held.
//!
//! multer parses; what it lacks is a bound on what it buffers while it looks for a boundary or the end of a part's head, and it reads
//! ahead as long as the connection has data. [`Feed`] gives it small pieces, one at a time, and only so many without any progress.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, stream};
use multer::{Field, Multipart};

use super::body::{BodyError, BodyStream, drain};
use delta_ports::PortError;
use delta_ports::blob::ByteStream;

/// Bytes handed to the parser at a time.
const PIECE: usize = 16 << 10;
/// Bytes without a finished part head, boundary or piece of content, after which the body is no honest form.
const MAX_HEAD: usize = 64 << 10;
/// Parts that are looked at.
const MAX_PARTS: usize = 16;
/// Bytes of a part that nobody asked for.
const MAX_OTHER: usize = 1 << 20;

/// A form that is being received.
pub(crate) struct Form {
    parser: Multipart<'static>,
    shared: Arc<Shared>,
    parts: usize,
}

struct Shared {
    body: Mutex<BodyStream>,
    error: Mutex<Option<BodyError>>,
    /// Bytes given to the parser since it last got anywhere.
    hungry: AtomicUsize,
}

impl Shared {
    fn body(&self) -> MutexGuard<'_, BodyStream> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers the first error: later ones are its consequences.
    fn fail(&self, error: BodyError) -> BodyError {
        let mut slot = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(error).clone()
    }

    fn error(&self) -> Option<BodyError> {
        self.error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn progress(&self) {
        self.hungry.store(0, Ordering::Relaxed);
    }

    /// The parser's error in our words. An error of our own feed has been remembered already.
    fn parse_error(&self, error: &multer::Error) -> BodyError {
        tracing::debug!(%error, "a form is malformed");
        self.fail(BodyError::Malformed)
    }
}

impl Form {
    /// A form with this boundary (see [`multer::parse_boundary`]).
    pub(crate) fn new(boundary: String, body: BodyStream) -> Self {
        let shared = Arc::new(Shared {
            body: Mutex::new(body),
            error: Mutex::new(None),
            hungry: AtomicUsize::new(0),
        });
        let feed = Feed {
            shared: shared.clone(),
            rest: Bytes::new(),
            pause: false,
        };
        Self {
            parser: Multipart::new(feed, boundary),
            shared,
            parts: 0,
        }
    }

    /// The next part. The part before must have been read or dropped.
    pub(crate) async fn next(&mut self) -> Result<Option<Part>, BodyError> {
        if self.parts == MAX_PARTS {
            return Err(self.shared.fail(BodyError::Malformed));
        }
        self.parts += 1;
        let field = self
            .parser
            .next_field()
            .await
            .map_err(|e| self.shared.parse_error(&e))?;
        self.shared.progress();
        Ok(field.map(|field| Part {
            field,
            shared: self.shared.clone(),
        }))
    }

    /// What went wrong on the way, if anything: it explains whatever the reader of a part's content says.
    pub(crate) fn error(&self) -> Option<BodyError> {
        self.shared.error()
    }

    /// Leaves the rest unread, politely.
    pub(crate) async fn finish(self) {
        drop(self.parser);
        let mut body = std::mem::replace(&mut *self.shared.body(), Box::pin(stream::empty()));
        drain(&mut body).await;
    }
}

/// One part of a form.
pub(crate) struct Part {
    field: Field<'static>,
    shared: Arc<Shared>,
}

impl Part {
    /// Its name.
    pub(crate) fn name(&self) -> Option<&str> {
        self.field.name()
    }

    /// Whether it is a file, as opposed to a text.
    pub(crate) fn is_file(&self) -> bool {
        self.field.file_name().is_some()
    }

    /// The content of a text of at most `limit` bytes.
    pub(crate) async fn text(mut self, limit: usize) -> Result<String, BodyError> {
        let mut content = Vec::new();
        while let Some(piece) = self.piece().await? {
            if content.len() + piece.len() > limit {
                return Err(self.shared.fail(BodyError::TooLarge {
                    limit: limit as u64,
                }));
            }
            content.extend_from_slice(&piece);
        }
        Ok(String::from_utf8_lossy(&content).into_owned())
    }

    /// Reads past a part that nobody asked for.
    pub(crate) async fn skip(mut self) -> Result<(), BodyError> {
        let mut seen = 0;
        while let Some(piece) = self.piece().await? {
            seen += piece.len();
            if seen > MAX_OTHER {
                return Err(self.shared.fail(BodyError::TooLarge {
                    limit: MAX_OTHER as u64,
                }));
            }
        }
        Ok(())
    }

    /// The content as a stream of at most `limit` bytes, or of exactly as many.
    ///
    /// The last piece is held back until the part has ended well: a body that breaks off never looks complete.
    pub(crate) fn content(self, limit: u64, exact: bool) -> ByteStream {
        struct State {
            part: Part,
            held: Bytes,
            seen: u64,
        }
        let state = Some(State {
            part: self,
            held: Bytes::new(),
            seen: 0,
        });
        Box::pin(stream::unfold(state, move |state| async move {
            let mut state = state?;
            let error = loop {
                match state.part.piece().await {
                    Ok(Some(piece)) => {
                        state.seen += piece.len() as u64;
                        if state.seen > limit {
                            break state.part.shared.fail(BodyError::TooLarge { limit });
                        }
                        let ready = std::mem::replace(&mut state.held, piece);
                        if !ready.is_empty() {
                            return Some((Ok(ready), Some(state)));
                        }
                    }
                    Ok(None) if exact && state.seen < limit => {
                        break state.part.shared.fail(BodyError::Short {
                            got: state.seen,
                            announced: limit,
                        });
                    }
                    Ok(None) if state.held.is_empty() => return None,
                    Ok(None) => return Some((Ok(state.held), None)),
                    Err(error) => break error,
                }
            };
            Some((Err(PortError::from(&error)), None))
        }))
    }

    /// The next piece of content, never empty.
    async fn piece(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let piece = self
                .field
                .chunk()
                .await
                .map_err(|e| self.shared.parse_error(&e))?;
            if piece.as_ref().is_some_and(Bytes::is_empty) {
                continue;
            }
            self.shared.progress();
            return Ok(piece);
        }
    }
}

struct Feed {
    shared: Arc<Shared>,
    rest: Bytes,
    pause: bool,
}

impl Stream for Feed {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.pause) {
            // The parser polls until it is told to wait. Told so after each piece, it works on what it has.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while this.rest.is_empty() {
            let polled = this.shared.body().as_mut().poll_next(cx);
            match polled {
                Poll::Ready(Some(Ok(piece))) => this.rest = piece,
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(this.shared.fail(error))));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        if this.shared.hungry.fetch_add(piece.len(), Ordering::Relaxed) + piece.len() > MAX_HEAD {
            return Poll::Ready(Some(Err(this.shared.fail(BodyError::Malformed))));
        }
        this.pause = true;
        Poll::Ready(Some(Ok(piece)))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use futures_util::StreamExt as _;

    use super::super::body::{Pace, paced};
    use super::*;

    /// A form whose body comes in pieces of `size` bytes.
    fn form(text: &[u8], size: usize) -> Form {
        let pieces: Vec<Result<Bytes, Infallible>> = text
            .chunks(size)
            .map(|c| Ok(Bytes::copy_from_slice(c)))
            .collect();
        let pace = Pace {
            idle: Duration::from_secs(5),
            grace: Duration::from_secs(5),
        };
        Form::new("B".to_owned(), paced(stream::iter(pieces), pace))
    }

    fn two_parts(content: &str) -> Vec<u8> {
        format!(
            "--B\r\nContent-Disposition: form-data; name=\"round\"\r\n\r\n7\r\n--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n{content}\r\n--B--\r\n"
        )
        .into_bytes()
    }

    async fn collect(content: ByteStream) -> Result<Vec<u8>, PortError> {
        let pieces: Vec<_> = content.collect().await;
        let mut out = Vec::new();
        for piece in pieces {
            out.extend_from_slice(&piece?);
        }
        Ok(out)
    }

    #[tokio::test]
    async fn parts_arrive_whole_however_the_body_is_cut() {
        let content = "x\r\n--A\r\n".repeat(5000);
        for size in [1, 7, 1000, 1 << 20] {
            let mut form = form(&two_parts(&content), size);
            let round = form.next().await.unwrap().unwrap();
            assert!(!round.is_file());
            assert_eq!(round.text(10).await.unwrap(), "7");
            let file = form.next().await.unwrap().unwrap();
            assert_eq!((file.name(), file.is_file()), (Some("file"), true));
            assert_eq!(
                collect(file.content(1 << 20, false)).await.unwrap(),
                content.as_bytes()
            );
            assert!(form.next().await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn content_beyond_the_limit_or_short_of_it_is_a_fault() {
        for (limit, exact, error) in [
            (3, false, BodyError::TooLarge { limit: 3 }),
            (3, true, BodyError::TooLarge { limit: 3 }),
            (
                5,
                true,
                BodyError::Short {
                    got: 4,
                    announced: 5,
                },
            ),
        ] {
            let mut form = form(&two_parts("1234"), 3);
            form.next().await.unwrap().unwrap().skip().await.unwrap();
            let file = form.next().await.unwrap().unwrap();
            assert!(collect(file.content(limit, exact)).await.is_err());
            assert_eq!(form.error(), Some(error));
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_never_looks_complete() {
        let whole = two_parts(&"y".repeat(100_000));
        for cut in [whole.len() - 9, whole.len() - 50_000, whole.len() - 99_990] {
            let mut form = form(&whole[..cut], 1000);
            form.next().await.unwrap().unwrap().skip().await.unwrap();
            let file = form.next().await.unwrap().unwrap();
            assert!(
                collect(file.content(1 << 20, false)).await.is_err(),
                "{cut}"
            );
            assert_eq!(form.error(), Some(BodyError::Malformed));
        }
    }

    #[tokio::test]
    async fn an_endless_head_or_preamble_is_given_up_early() {
        let head = format!("--B\r\nContent-Disposition: {}", "z".repeat(1 << 20)).into_bytes();
        for endless in [head, vec![b'-'; 1 << 20]] {
            let mut form = form(&endless, 4096);
            assert_eq!(form.next().await.err(), Some(BodyError::Malformed));
        }
    }

    #[tokio::test]
    async fn too_many_parts_are_too_many() {
        let many = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n".repeat(100)
            + "--B--\r\n";
        let mut form = form(many.as_bytes(), 1000);
        let mut seen = 0;
        while let Ok(Some(part)) = form.next().await {
            part.skip().await.unwrap();
            seen += 1;
        }
        assert_eq!(seen, MAX_PARTS);
    }
}
