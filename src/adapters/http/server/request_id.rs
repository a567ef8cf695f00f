//! The name of one request: in the answer's head, and in every line of the log that is written for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use warp::http::HeaderMap;
use warp::http::header::{HeaderName, HeaderValue};

use super::reply::Response;

/// Where it stands, in requests and in answers.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest name that is taken over.
const LONGEST: usize = 64;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId(String);

impl RequestId {
    /// The one that the caller gave it, where that is one plain word; else a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut given = headers.get_all(HEADER).iter();
        let (first, second) = (given.next(), given.next());
        let word = first.and_then(|value| value.to_str().ok()).filter(|text| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            !text.is_empty() && text.len() <= LONGEST && text.bytes().all(plain)
        });
        match (word, second) {
            (Some(word), None) => Self(word.to_owned()),
            _ => Self::new(),
        }
    }

    /// One that no other request has, of this process or of those before it: the second and a number.
    fn new() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "a word that processes before had not; nothing is decided by it"
        )]
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(format!(
            "{:x}-{number:x}",
            since.unwrap_or_default().as_secs()
        ))
    }

    /// Writes it into an answer.
    pub(crate) fn mark(&self, response: &mut Response) {
        if let Ok(value) = HeaderValue::from_str(&self.0) {
            response.headers_mut().insert(HEADER, value);
        }
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(values: &[&str]) -> RequestId {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_str(value).unwrap());
        }
        RequestId::of(&headers)
    }

    #[test]
    fn a_plain_word_is_taken_over_and_nothing_else() {
        assert_eq!(given(&["7f3a-b_c.1"]).to_string(), "7f3a-b_c.1");
        let long = "x".repeat(65);
        for wrong in [
            &["a b"][..],
            &["<script>"],
            &[""],
            &[&long],
            &["a", "b"],
            &[],
        ] {
            let made = given(wrong);
            assert!(!wrong.contains(&made.0.as_str()), "{wrong:?}");
            assert!(made.0.len() > 8 && made != given(wrong), "{made}");
        }
    }
}
