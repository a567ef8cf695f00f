//! Content goes with a result alone, and an answer of the wrong kind is told apart.

use delta_domain::ids::{Digest, RoundNumber};
use delta_domain::round::message::{RequestBody, SignedRequest};

use super::{PeerAnswer, PeerRequest};
use crate::blob::{ByteStream, pieces};
use crate::{PortError, PortErrorKind};

fn signed(body: RequestBody) -> PeerRequest {
    PeerRequest::Signed(SignedRequest {
        task: format!("0x{}", "ab".repeat(32)).parse().unwrap(),
        round: RoundNumber(1),
        sender: format!("0x{}", "cd".repeat(20)).parse().unwrap(),
        view: Digest([0; 32]),
        body,
        signature: vec![],
    })
}

#[test]
fn content_comes_with_a_result_alone() {
    let result = signed(RequestBody::Result {
        digest: Digest([1; 32]),
        len: 3,
    });
    let joined = signed(RequestBody::Joined);
    let content = || Some(pieces(vec![1, 2, 3]));
    let len = |found: Option<(u64, ByteStream)>| found.map(|(len, _)| len);
    assert_eq!(len(result.with_content(content()).unwrap()), Some(3));
    assert_eq!(len(joined.with_content(None).unwrap()), None);
    for (request, content) in [(result, None), (joined, content())] {
        let error = request.with_content(content).err().unwrap();
        assert_eq!(
            (error.kind(), error.op()),
            (PortErrorKind::Internal, request.op())
        );
    }
}

#[test]
fn an_answer_of_another_kind_is_a_bug() {
    let error = PeerAnswer::Done.shares().unwrap_err();
    assert_eq!(error.to_string(), "expected shares, got nothing");
    assert_eq!(PortError::from(error).kind(), PortErrorKind::Internal);
    PeerAnswer::Done.done().unwrap();
}
