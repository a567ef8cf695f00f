//! Answers that the library makes before any service sees the call, in the words of the reference connector (grpc-js): requests that are
//! too large, methods that nobody has.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_service::Service;

use super::MAX_REQUEST;

/// Puts [`Words`] around a service.
#[derive(Debug, Clone, Copy)]
pub(super) struct AsTheReference;

impl<S> Layer<S> for AsTheReference {
    type Service = Words<S>;

    fn layer(&self, inner: S) -> Words<S> {
        Words { inner }
    }
}

/// A service whose refusals read as the reference's.
#[derive(Debug, Clone)]
pub(super) struct Words<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Words<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = request.uri().path().to_owned();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            let said = Status::from_header_map(answer.headers());
            Ok(match said.and_then(|status| reworded(&status, &method)) {
                Some(status) => status.into_http(),
                None => answer,
            })
        })
    }
}

/// What the reference says in place of `status`, where that is another word.
fn reworded(status: &Status, method: &str) -> Option<Status> {
    match status.code() {
        Code::Unimplemented if status.message().is_empty() => Some(Status::unimplemented(format!(
            "The server does not implement the method {method}"
        ))),
        Code::OutOfRange => {
            let size = status.message().split_once("found ")?.1.split(' ').next()?;
            Some(Status::resource_exhausted(format!(
                "Received message larger than max ({size} vs. {MAX_REQUEST})"
            )))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_library_says_by_itself_is_reworded() {
        let method = "/identity.Identity/Fly";
        let told = |status: Status| {
            let status = reworded(&status, method)?;
            Some((status.code(), status.message().to_owned()))
        };
        assert_eq!(
            told(Status::unimplemented("")),
            Some((
                Code::Unimplemented,
                "The server does not implement the method /identity.Identity/Fly".to_owned()
            ))
        );
        let large = "Error, decoded message length too large: found 4194305 bytes, the limit is: 4194304 bytes";
        assert_eq!(
            told(Status::out_of_range(large)),
            Some((
                Code::ResourceExhausted,
                "Received message larger than max (4194305 vs. 4194304)".to_owned()
            ))
        );
        assert_eq!(told(Status::unknown("task 0x1 doesn't exist")), None);
        assert_eq!(told(Status::unimplemented("not here")), None);
    }
}
