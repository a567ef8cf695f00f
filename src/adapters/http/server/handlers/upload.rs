//! Handlers that stream a file in: `POST /v1/task` and `POST /v1/coord/result`. No byte of a file waits here.

use futures_util::stream;
use serde::Serialize;
use warp::http::HeaderMap;
use warp::http::header::{CONTENT_LENGTH, CONTENT_TYPE};

use crate::server::call::{Call, Shared};
use crate::server::extract::body::{BodyError, read_whole};
use crate::server::extract::multipart::Form;
use crate::server::extract::query::Query;
use crate::server::extract::validation::{FieldErrors, IntRule};
use crate::server::rejection::Rejection;
use crate::server::reply::{Response, ok, success};
use crate::server::signed::{digest, header, known_task, member, round_number, signed};
use crate::wire::headers;
use delta_domain::ids::Digest;
use delta_domain::round::message::RequestBody;
use delta_ports::peer::PeerRequest;
use delta_ports::storage::LocalTaskId;

/// What a form may weigh beside its file.
const AROUND_FILE: u64 = 1 << 20;
/// Longest text field.
const MAX_TEXT: usize = 1024;

/// `POST /v1/task`
pub(crate) async fn submit(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let limits = shared.authors()?.limits().await?;
    let limit = limits.bundle_bytes.min(shared.options.max_bundle_bytes);
    let Some(mut form) = open(shared, call, limit).await? else {
        return Err(no_file(|_| ()));
    };
    let author = call.author();
    let outcome = submit_from(shared, &mut form, limit, author).await;
    close(form, outcome).await
}

#[derive(Serialize)]
struct Submitted {
    task_id: LocalTaskId,
}

async fn submit_from(
    shared: &Shared,
    form: &mut Form,
    limit: u64,
    author: Option<String>,
) -> Result<Response, Rejection> {
    while let Some(part) = form.next().await? {
        match part.name() {
            Some("file") if part.is_file() => {
                let id = shared
                    .authors()?
                    .submit_task(part.content(limit, false), author)
                    .await?;
                return Ok(ok(&Submitted { task_id: id }));
            }
            Some("file") => return Err(not_a_file()),
            Some(_) | None => part.skip().await?,
        }
    }
    Err(no_file(|_| ()))
}

/// `POST /v1/coord/result`
pub(crate) async fn result(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let announced = Announced::from_headers(&call.headers)?;
    let limit = announced.as_ref().map_or(0, |a| a.len);
    let headers = call.headers.clone();
    let Some(mut form) = open(shared, call, limit).await? else {
        return Err(Texts::default().without_file());
    };
    let outcome = result_from(shared, &headers, announced, &mut form).await;
    close(form, outcome).await
}

async fn result_from(
    shared: &Shared,
    headers: &HeaderMap,
    announced: Option<Announced>,
    form: &mut Form,
) -> Result<Response, Rejection> {
    let mut texts = Texts::default();
    while let Some(part) = form.next().await? {
        match part.name() {
            Some("address") => texts.address = Some(part.text(MAX_TEXT).await?),
            Some("task_id") => texts.task_id = Some(part.text(MAX_TEXT).await?),
            Some("round") => texts.round = Some(part.text(MAX_TEXT).await?),
            Some("file") if part.is_file() => {
                let mut errors = FieldErrors::body();
                let (address, task, round) = texts.check(&mut errors);
                errors.settle()?;
                let (task, round) = (known_task(&task)?, round_number(round)?);
                let sender = member(&address, |a| format!("member {a} is not allowed"))?;
                let Some(Announced { digest, len }) = announced else {
                    return Err(Rejection::forbidden(format!(
                        "a result must be signed: the headers {}, {}, {} and {} are needed",
                        headers::DIGEST,
                        headers::LENGTH,
                        headers::VIEW,
                        headers::SIGNATURE
                    )));
                };
                let request = signed(
                    headers,
                    task,
                    round,
                    sender,
                    RequestBody::Result { digest, len },
                )?;
                let content = part.content(len, true);
                let request = PeerRequest::Signed(request);
                let answer = shared.call(request, Some(content)).await?;
                answer.done()?;
                return Ok(success());
            }
            Some("file") => return Err(not_a_file()),
            Some(_) | None => part.skip().await?,
        }
    }
    Err(texts.without_file())
}

/// The text fields that come before the file.
#[derive(Default)]
struct Texts {
    address: Option<String>,
    task_id: Option<String>,
    round: Option<String>,
}

impl Texts {
    fn check(self, errors: &mut FieldErrors) -> (String, String, i128) {
        let address = errors.required("address", self.address).unwrap_or_default();
        let task = errors.hex("task_id", self.task_id);
        let round = errors.int("round", self.round.as_deref(), IntRule::REQUIRED);
        (address, task, round)
    }

    fn without_file(self) -> Rejection {
        no_file(|errors| {
            self.check(errors);
        })
    }
}

/// What the headers say about the file to come.
struct Announced {
    digest: Digest,
    len: u64,
}

impl Announced {
    fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, Rejection> {
        let (Some(digest), Some(len)) = (
            digest(headers, headers::DIGEST)?,
            header(headers, headers::LENGTH)?,
        ) else {
            return Ok(None);
        };
        let len = len
            .parse()
            .map_err(|_| Rejection::bad(format!("{} is not a number of bytes", headers::LENGTH)))?;
        Ok(Some(Self { digest, len }))
    }
}

/// Opens a form, or says with `None` that there is none and hence no file.
async fn open(
    shared: &Shared,
    call: &mut Call,
    file_limit: u64,
) -> Result<Option<Form>, Rejection> {
    let Call { headers, body, .. } = call;
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let content_length: Option<u64> = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let limit = file_limit.saturating_add(AROUND_FILE);
    let refusal = if content_length.is_some_and(|len| len > limit) {
        BodyError::TooLarge { limit: file_limit }.into()
    } else if content_type.starts_with("application/x-www-form-urlencoded") {
        let sent_as_text = |bytes: &[u8]| {
            Query::parse(&String::from_utf8_lossy(bytes))
                .get("file")
                .is_some()
        };
        match read_whole(body, headers::MAX_SMALL_JSON, &shared.memory, sent_as_text).await {
            Ok(true) => not_a_file(),
            Ok(false) => return Ok(None),
            Err(error) => error.into(),
        }
    } else if !content_type.starts_with("multipart/form-data") {
        return Ok(None);
    } else {
        match multer::parse_boundary(content_type) {
            Ok(boundary) => {
                return Ok(Some(Form::new(
                    boundary,
                    std::mem::replace(body, Box::pin(stream::empty())),
                )));
            }
            Err(_) => BodyError::Malformed.into(),
        }
    };
    Err(refusal)
}

/// Reads what is left, and lets an error of the body explain whatever came of it.
async fn close(form: Form, outcome: Result<Response, Rejection>) -> Result<Response, Rejection> {
    let error = form.error();
    form.finish().await;
    match error {
        Some(error) => Err(error.into()),
        None => outcome,
    }
}

fn no_file(others: impl FnOnce(&mut FieldErrors)) -> Rejection {
    let mut errors = FieldErrors::body();
    others(&mut errors);
    errors.required::<()>("file", None);
    errors.into()
}

fn not_a_file() -> Rejection {
    let mut errors = FieldErrors::body();
    errors.report(
        ["file".into()],
        "Expected UploadFile, received: <class 'str'>",
        "value_error",
    );
    errors.into()
}
