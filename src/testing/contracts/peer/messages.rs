//! The clauses.

use std::sync::Arc;

use delta_domain::ids::{Digest, RoundNumber};
use delta_domain::round::DeclineCode;
use delta_domain::round::message::RequestBody;
use delta_ports::PortErrorKind;
use delta_ports::peer::{PeerCalls as _, PeerRequest, PeerTransport, RejectionKind};

use super::Subject;
use super::moves::{
    announced, author, collect, confirmations, delivery, member, pattern, request, shares, task,
    view,
};
use super::recorder::Recorder;

const MIB_20: u64 = 20 << 20;

/// The member's way, the coordinator's url, and the coordinator.
async fn arrange(subject: &impl Subject) -> (&dyn PeerTransport, String, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::new());
    let url = subject.serve(recorder.clone()).await;
    (subject.peers(), url, recorder)
}

/// Every kind of request reaches the coordinator unchanged, and its answer the member.
pub async fn every_message_arrives_as_it_was_signed(subject: impl Subject) {
    let (peers, url, fake) = arrange(&subject).await;
    let url = url.as_str();
    for body in [
        RequestBody::Joined,
        RequestBody::Depart,
        RequestBody::Revealed,
        RequestBody::Decline {
            reason: DeclineCode::NoSuchData,
        },
        RequestBody::Shares { shares: shares() },
        RequestBody::Shares { shares: vec![] },
        RequestBody::Confirm {
            statement: Digest([8; 32]),
            tags: vec![7; 48],
        },
    ] {
        let sent = request(body);
        peers.submit(url, &sent).await.unwrap();
        assert_eq!(fake.taken(), [sent]);
    }
    let mut unsigned = request(RequestBody::Decline {
        reason: DeclineCode::Internal,
    });
    unsigned.signature.clear();
    unsigned.view = Digest([0; 32]);
    peers.submit(url, &unsigned).await.unwrap();
    assert_eq!(fake.taken(), [unsigned]);

    let sent = request(RequestBody::Attend);
    peers.attend(url, &sent).await.unwrap();
    assert_eq!(fake.taken(), [sent]);

    let sent = request(RequestBody::FetchShares);
    assert_eq!(peers.fetch_shares(url, &sent).await.unwrap(), delivery());
    assert_eq!(fake.taken(), [sent]);

    let sent = request(RequestBody::FetchConfirmations);
    let said = peers.confirmations(url, &sent).await.unwrap();
    assert_eq!(said, confirmations());
    assert_eq!(fake.taken(), [sent]);

    let sent = request(RequestBody::Variable {
        name: "a.b-c_1".parse().unwrap(),
    });
    let got = collect(peers.variable(url, &sent, 3541).await.unwrap())
        .await
        .unwrap();
    assert_eq!(got, collect(pattern(3541)).await.unwrap());
    assert_eq!(fake.taken(), [sent]);

    let sent = request(announced(70_001).await);
    peers.result(url, &sent, pattern(70_001)).await.unwrap();
    assert_eq!(fake.taken(), [sent]);

    assert_eq!(
        peers
            .round_view(url, &task(), RoundNumber(1))
            .await
            .unwrap(),
        view(RoundNumber(1))
    );
    assert_eq!(peers.author(url, &task()).await.unwrap(), author());
    assert_eq!(
        collect(peers.bundle(url, &task(), 3541).await.unwrap())
            .await
            .unwrap()
            .len(),
        3541
    );
}

/// 20 MiB down and up, byte for byte.
pub async fn large_files_pass_both_ways(subject: impl Subject) {
    let (peers, url, fake) = arrange(&subject).await;
    let url = url.as_str();
    *fake.len.lock().unwrap() = MIB_20;
    let got = collect(peers.bundle(url, &task(), MIB_20).await.unwrap())
        .await
        .unwrap();
    let body = announced(MIB_20).await;
    let RequestBody::Result { digest, .. } = &body else {
        unreachable!()
    };
    assert_eq!(Digest::of(&got), *digest);
    fake.files.lock().unwrap().clear();
    peers
        .result(url, &request(body.clone()), pattern(MIB_20))
        .await
        .unwrap();
    assert_eq!(Digest::of(&fake.files.lock().unwrap()[0]), *digest);
    *fake.len.lock().unwrap() = 3541;
    fake.taken();
}

/// A coordinator's refusal is `Rejected`, one that cannot answer now is `Unavailable`; the sentence is the coordinator's.
pub async fn refusals_keep_their_sentences(subject: impl Subject) {
    let (peers, url, fake) = arrange(&subject).await;
    let url = url.as_str();
    for (kind, expected) in [
        (RejectionKind::Invalid, PortErrorKind::Rejected),
        (RejectionKind::Forbidden, PortErrorKind::Rejected),
        (RejectionKind::TooLarge, PortErrorKind::Rejected),
        (RejectionKind::Unavailable, PortErrorKind::Unavailable),
    ] {
        fake.refuse_next(kind, "the round is over");
        let error = peers
            .submit(url, &request(RequestBody::Joined))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (expected, "the round is over")
        );
        fake.refuse_next(kind, "the round is over");
        let error = peers
            .fetch_shares(url, &request(RequestBody::FetchShares))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (expected, "the round is over")
        );
        fake.refuse_next(kind, "the round is over");
        let error = peers
            .result(url, &request(announced(9).await), pattern(9))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (expected, "the round is over")
        );
    }
    let unsigned = PeerRequest::UnsignedShares {
        task: task(),
        round: RoundNumber(1),
        receiver: member(1),
    };
    let error = peers.call(url, unsigned, None, 0).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (
            PortErrorKind::Rejected,
            "shares are for their receiver: sign the request"
        )
    );
    let error = peers
        .round_view(url, &task(), RoundNumber(7))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (PortErrorKind::Rejected, "task round does not exist")
    );
    fake.taken();
}

/// A download that is one byte too long fails, sooner or later.
pub async fn answers_beyond_their_limit_are_corrupt(subject: impl Subject) {
    let (peers, url, fake) = arrange(&subject).await;
    let url = url.as_str();
    let variable = request(RequestBody::Variable {
        name: "w".parse().unwrap(),
    });
    for answer in [
        peers.bundle(url, &task(), 3540).await,
        peers.variable(url, &variable, 3540).await,
    ] {
        let error = match answer {
            Ok(content) => collect(content).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind(), PortErrorKind::Corrupt);
    }
    fake.taken();
}
