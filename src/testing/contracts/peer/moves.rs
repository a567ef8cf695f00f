//! A task with three members, requests of one of them, and content to send; also for the tests that are one transport's own.

use bytes::Bytes;
use delta_domain::identity::{AuthorWord, NodeKey};
use delta_domain::ids::{Address, Digest, Name, RoundNumber, TaskId};
use delta_domain::round::message::{
    Announcement, Confirmation, RequestBody, RoundView, SealedShares, ShareDelivery, SignedRequest,
};
use delta_domain::secret::Secret;
use delta_domain::task::TaskKind;
use delta_ports::PortError;
use delta_ports::blob::ByteStream;
use futures_util::{StreamExt as _, stream};

/// The task's id on the network.
pub const TASK: &str = "0x55c4c50e63b1cfec90669c0cfd76df334296f9c986f5b7d70d8c635a98d4f9bb";
/// The members' addresses.
pub const MEMBERS: [&str; 3] = [
    "0x277adef31ac745db719e1ac9d5fc7c0c1bb3c07f",
    "0xb1e0ca7e1bd48d7e3cd69aaa3de23cb943338f23",
    "0xcbc8fe19e145df3a9b111a2d5d4232dda235e355",
];

/// The recorded task.
pub fn task() -> TaskId {
    TASK.parse().unwrap()
}

/// One of the recorded members.
pub fn member(index: usize) -> Address {
    MEMBERS[index].parse().unwrap()
}

/// A request of member 1 in round 1, signed so to speak.
pub fn request(body: RequestBody) -> SignedRequest {
    SignedRequest {
        task: task(),
        round: RoundNumber(1),
        sender: member(1),
        view: Digest([0x5a; 32]),
        body,
        signature: vec![0, 1, 2, 0xff],
    }
}

/// Shares of member 1 for everybody.
pub fn shares() -> Vec<SealedShares> {
    (0..3)
        .map(|i| SealedShares {
            sender: member(1),
            receiver: member(i),
            sealed: [&[0, i as u8, 3][..], &[0xff; 48]].concat(),
        })
        .collect()
}

/// Who the fake says has submitted its task.
pub fn author() -> AuthorWord {
    let key = NodeKey::new(&Secret::new([7; 32])).unwrap();
    AuthorWord::sign(&key, &task(), &Digest([3; 32]), "alice").unwrap()
}

/// What the fake delivers.
pub fn delivery() -> ShareDelivery {
    ShareDelivery {
        shares: (0..3)
            .map(|i| SealedShares {
                sender: member(i),
                receiver: member(1),
                sealed: vec![i as u8; 5],
            })
            .collect(),
    }
}

/// What the fake relays about u3.
pub fn confirmations() -> Vec<Confirmation> {
    vec![Confirmation {
        member: member(0),
        tag: vec![9; 16],
    }]
}

/// What the fake says of a round.
pub fn view(round: RoundNumber) -> RoundView {
    let name: Name = "weights".parse().unwrap();
    RoundView {
        announcement: Announcement {
            task: task(),
            round,
            step: 3,
            variables: [(name, Digest([3; 32]))].into(),
        },
        kind: TaskKind::Horizontal,
        u1: Some((0..3).map(member).collect()),
        u2: None,
        u3: None,
        ended: None,
    }
}

/// `len` bytes that are easy to tell from others, in pieces of 64 KiB.
pub fn pattern(len: u64) -> ByteStream {
    let pieces = (0..len.div_ceil(1 << 16)).map(move |i| {
        let size = (len - (i << 16)).min(1 << 16) as usize;
        let piece: Vec<u8> = (0..size).map(|j| (i as usize * 31 + j * 7) as u8).collect();
        Ok(Bytes::from(piece))
    });
    Box::pin(stream::iter(pieces.collect::<Vec<_>>()))
}

/// A short stream.
pub fn bytes(content: &'static [u8]) -> ByteStream {
    Box::pin(stream::iter([Ok(Bytes::from_static(content))]))
}

/// Everything in a stream.
pub async fn collect(mut content: ByteStream) -> Result<Vec<u8>, PortError> {
    let mut out = Vec::new();
    while let Some(piece) = content.next().await {
        out.extend_from_slice(&piece?);
    }
    Ok(out)
}

/// The digest and the length of `pattern(len)`.
pub async fn announced(len: u64) -> RequestBody {
    let digest = Digest::of(&collect(pattern(len)).await.unwrap());
    RequestBody::Result { digest, len }
}
