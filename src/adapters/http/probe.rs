//! The parsers of this folder, fed by hand: for fuzzing, where a socket would be in the way.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use warp::http::HeaderMap;
use warp::http::header::{CONTENT_TYPE, HeaderValue};

use crate::server::extract::body::{BodyError, BodyStream, Memory};
use crate::server::extract::json::Fields;
use crate::server::extract::multipart::Form;
use crate::server::extract::query::Query;
use crate::server::extract::validation::FieldErrors;
use crate::wire::compact;
use crate::wire::headers;

fn body(pieces: Vec<Bytes>) -> BodyStream {
    Box::pin(stream::iter(pieces.into_iter().map(Ok::<_, BodyError>)))
}

/// Reads a form that comes in these pieces; answers how many parts were read to their end.
pub async fn multipart(boundary: &str, pieces: Vec<Bytes>) -> usize {
    let mut form = Form::new(boundary.to_owned(), body(pieces));
    let mut parts = 0;
    while let Ok(Some(part)) = form.next().await {
        let whole = if part.is_file() {
            let mut content = part.content(1 << 16, false);
            let mut whole = true;
            while let Some(piece) = content.next().await {
                whole &= piece.is_ok();
            }
            whole
        } else {
            part.text(1 << 10).await.is_ok()
        };
        if !whole {
            break;
        }
        parts += 1;
    }
    form.finish().await;
    parts
}

/// Reads a body of sealed shares; answers whether it has the right form.
pub async fn shares(bytes: Vec<u8>) -> bool {
    let memory = Memory::new(1 << 20);
    let mut body = body(vec![Bytes::from(bytes)]);
    let mut json = HeaderMap::new();
    json.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let read = Fields::read(&json, &mut body, headers::MAX_SMALL_JSON, &memory).await;
    let Ok(fields) = read else { return false };
    let mut errors = FieldErrors::body();
    drop(fields.text(&mut errors, "address"));
    drop(fields.hex(&mut errors, "task_id"));
    fields.int(&mut errors, "round");
    drop(fields.objects(&mut errors, "shares", |item, errors| {
        (item.text(errors, "sender"), item.hex(errors, "seed_share"))
    }));
    errors.settle().is_ok()
}

/// Reads sealed shares in the compact form; answers how many shares and signatures there are.
#[must_use]
pub fn compact_shares(bytes: &[u8]) -> Option<(usize, usize)> {
    let read = compact::decode(bytes)?;
    Some((read.shares.len(), read.confirmations.len()))
}

/// Reads a query string; answers whether it names a round.
#[must_use]
pub fn query(text: &str) -> bool {
    let query = Query::parse(text);
    query.get("round").is_some()
}
