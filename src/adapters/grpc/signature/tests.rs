//! Signed calls over the wire, through a closed door and an open one.

use std::time::Duration;

use async_trait::async_trait;
use rand_chacha::ChaCha20Rng;
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response};

use super::*;
use crate::convert::tests::{Echo, commands};
use crate::pb::identity::identity_client::IdentityClient;
use crate::pb::identity::{JoinReq, LeaveReq};
use crate::{Door, GrpcConnector, GrpcOptions, serve};
use delta_domain::connector_record::{Answer, Command};
use delta_domain::secret::Secret;
use delta_domain::task::TaskKind;
use delta_ports::connector::RecordBackend as _;
use delta_ports::{PortError, PortErrorKind};

/// A clock that stands still.
pub(crate) struct Standing;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

#[async_trait]
impl Clock for Standing {
    fn now(&self) -> Timestamp {
        NOW
    }

    async fn sleep(&self, _duration: Duration) {}
}

/// A clock that is wrong by this many milliseconds.
struct Wrong(i64);

#[async_trait]
impl Clock for Wrong {
    fn now(&self) -> Timestamp {
        Timestamp(NOW.0.checked_add_signed(self.0).unwrap())
    }

    async fn sleep(&self, _duration: Duration) {}
}

/// Another generator at every call, whoever asks.
struct Counting;

static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

impl Entropy for Counting {
    fn rng(&self) -> Result<ChaCha20Rng, PortError> {
        let seed = COUNT.fetch_add(1, Ordering::Relaxed);
        Ok(rand_core::SeedableRng::seed_from_u64(seed))
    }
}

fn key(byte: u8) -> Arc<NodeKey> {
    Arc::new(NodeKey::new(&Secret::new([byte; 32])).unwrap())
}

fn signer(byte: u8, wrong_by: i64) -> CallSigner {
    CallSigner::new(key(byte), Arc::new(Wrong(wrong_by)), Arc::new(Counting))
}

struct World {
    echo: Arc<Echo>,
    port: u16,
}

impl World {
    async fn new(open: bool) -> Self {
        let echo = Arc::new(Echo::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let door = Door::new(open, Arc::new(Standing));
        tokio::spawn(serve(echo.clone(), door, listener, std::future::pending()));
        Self { echo, port }
    }

    fn client(&self) -> GrpcConnector {
        GrpcConnector::new("127.0.0.1", self.port, GrpcOptions::default()).unwrap()
    }

    fn raw(&self) -> IdentityClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", self.port));
        IdentityClient::new(endpoint.unwrap().connect_lazy())
    }

    fn heard(&self) -> Option<Command> {
        self.echo.heard.lock().unwrap().take()
    }
}

fn address(byte: u8) -> String {
    key(byte).fingerprint().address().to_string()
}

fn all(address: &str) -> impl Iterator<Item = Command> {
    let kinds = [TaskKind::Horizontal, TaskKind::Hlr].into_iter();
    kinds.flat_map(move |kind| commands(kind, address))
}

/// The wire has no signed join of its own.
fn as_heard(command: Command, by: u8) -> Command {
    match command {
        Command::Join { url, name } => Command::JoinAs {
            address: address(by),
            url,
            name,
        },
        other => other,
    }
}

#[tokio::test]
async fn a_closed_door_takes_what_is_signed_by_the_key_of_its_address() {
    let world = World::new(false).await;
    let own = world.client().signed_by(signer(1, 0));
    let other = world.client().signed_by(signer(2, 0));
    let silent = world.client();
    for command in all(&address(1)) {
        own.execute("test", command.clone()).await.unwrap();
        assert_eq!(world.heard(), Some(as_heard(command.clone(), 1)));
        let acts = !command.is_read();
        for (client, by) in [(&silent, None), (&other, Some(2))] {
            let outcome = client.execute("test", command.clone()).await;
            let joins = matches!(command, Command::Join { .. }) && by.is_some();
            if acts && !joins {
                let error = outcome.unwrap_err();
                assert_eq!(error.kind(), PortErrorKind::Rejected, "{command:?}");
                assert_eq!(world.heard(), None, "{command:?}");
            } else {
                outcome.unwrap();
                drop(world.heard());
            }
        }
    }
    // Not even a signature makes a url's address one's own.
    for command in all("0x1111111111111111111111111111111111111111") {
        if command.actor().is_some() {
            own.execute("test", command).await.unwrap_err();
            assert_eq!(world.heard(), None);
        }
    }
}

#[tokio::test]
async fn an_open_door_serves_who_does_not_sign_and_keeps_the_addresses_of_keys() {
    let world = World::new(true).await;
    let silent = world.client();
    for command in all("0x1111111111111111111111111111111111111111") {
        silent.execute("test", command.clone()).await.unwrap();
        assert_eq!(world.heard(), Some(command));
    }
    let mut upper = address(1).to_uppercase();
    upper.replace_range(..2, "0x");
    for owned in [address(1), upper] {
        for command in all(&owned).filter(|c| c.actor().is_some()) {
            silent.execute("test", command).await.unwrap_err();
            assert_eq!(world.heard(), None);
        }
    }
    let own = world.client().signed_by(signer(1, 0));
    for command in all(&address(1)) {
        own.execute("test", command.clone()).await.unwrap();
        assert_eq!(world.heard(), Some(as_heard(command, 1)));
    }
}

#[tokio::test]
async fn subscriptions_are_signed_too() {
    let world = World::new(false).await;
    let told = |outcome: Result<_, PortError>| outcome.err().unwrap().message().to_owned();
    let silent = world.client();
    assert!(told(silent.open("test", &address(1)).await).contains("must be signed"));
    // The listener is who signed, whatever is claimed.
    let own = world.client().signed_by(signer(1, 0));
    assert!(told(own.open("test", "somebody").await).contains(&address(1)));
    let open = World::new(true).await;
    assert!(told(open.client().open("test", "whoever").await).contains("whoever"));
    assert!(told(open.client().open("test", &address(1)).await).contains("must be signed"));
}

/// The clocks of nodes are hours apart, and nobody is told.
#[tokio::test]
async fn a_wrong_clock_is_put_right_by_the_first_refusal() {
    for wrong_by in [-10_800_000, -70_000, -61_000, 6_000, 10_800_000] {
        let world = World::new(false).await;
        let client = world.client().signed_by(signer(1, wrong_by));
        let leave = Command::Leave {
            address: address(1),
        };
        for _ in 0..3 {
            client.execute("test", leave.clone()).await.unwrap();
            assert_eq!(world.heard(), Some(leave.clone()), "{wrong_by}");
        }
        let client = world.client().signed_by(signer(1, wrong_by));
        let error = client.open("test", "x").await.err().unwrap();
        assert!(error.message().contains(&address(1)), "{error}");
    }
}

/// Who pretends to be a connector gets no signature for next week.
#[tokio::test]
async fn a_clock_that_is_days_apart_is_not_followed() {
    let world = World::new(false).await;
    let client = world.client().signed_by(signer(1, -2 * 24 * 3600 * 1000));
    let leave = Command::Leave {
        address: address(1),
    };
    client.execute("test", leave).await.unwrap_err();
    assert_eq!(world.heard(), None);
}

fn leave(byte: u8) -> LeaveReq {
    LeaveReq {
        address: address(byte),
    }
}

fn code<T>(outcome: Result<Response<T>, Status>) -> Code {
    outcome.map_or_else(|status| status.code(), |_| Code::Ok)
}

fn copy<T: Clone>(request: &Request<T>) -> Request<T> {
    let mut copy = Request::new(request.get_ref().clone());
    *copy.metadata_mut() = request.metadata().clone();
    copy
}

const LEAVE: &str = "/identity.Identity/Leave";

#[tokio::test]
async fn a_call_is_heard_once_and_fits_no_other_call() {
    let world = World::new(false).await;
    let mut raw = world.raw();
    let signed = signer(1, 0).sign(LEAVE, leave(1)).unwrap();
    assert_eq!(code(raw.leave(copy(&signed)).await), Code::Ok);
    assert_eq!(code(raw.leave(copy(&signed)).await), Code::Unauthenticated);
    // Another body, another method, another time, under the same signature.
    let fresh = || signer(1, 1).sign(LEAVE, leave(1)).unwrap();
    let mut body = fresh();
    body.get_mut().address = address(2);
    assert_eq!(code(raw.leave(body).await), Code::Unauthenticated);
    let mut join = Request::new(JoinReq::default());
    *join.metadata_mut() = fresh().metadata().clone();
    assert_eq!(code(raw.join(join).await), Code::Unauthenticated);
    let mut time = fresh();
    time.metadata_mut()
        .insert(TIME, "1700000000002".parse().unwrap());
    assert_eq!(code(raw.leave(time).await), Code::Unauthenticated);
    // What failed used nothing up.
    assert_eq!(code(raw.leave(fresh()).await), Code::Ok);
}

#[tokio::test]
async fn half_a_signature_is_none_and_not_the_same_as_no_signature() {
    let world = World::new(true).await;
    let mut raw = world.raw();
    let plain = LeaveReq {
        address: "0x1111111111111111111111111111111111111111".into(),
    };
    type Change = fn(&mut MetadataMap);
    let changes: [Change; 7] = [
        |m| drop(m.remove(KEY)),
        |m| drop(m.remove(SIGNATURE)),
        |m| drop(m.insert(TIME, "-1".parse().unwrap())),
        |m| drop(m.insert(NONCE, "0x11".parse().unwrap())),
        |m| drop(m.insert(KEY, "0x00".parse().unwrap())),
        |m| assert!(m.append(KEY, key(2).public().to_wire().parse().unwrap())),
        |m| drop(m.insert(SIGNATURE, "1".repeat(4000).parse().unwrap())),
    ];
    for change in changes {
        let mut request = signer(1, 0).sign(LEAVE, plain.clone()).unwrap();
        change(request.metadata_mut());
        assert_eq!(code(raw.leave(request).await), Code::Unauthenticated);
        assert_eq!(world.heard(), None);
    }
    assert_eq!(code(raw.leave(Request::new(plain)).await), Code::Ok);
}

/// The high s of ECDSA would be a second signature of the same call; the nonce is what is remembered all the same.
#[tokio::test]
async fn a_turned_signature_is_no_second_call() {
    let world = World::new(false).await;
    let mut raw = world.raw();
    let mut signed = signer(1, 0).sign(LEAVE, leave(1)).unwrap();
    let text = signed.metadata().get(SIGNATURE).unwrap().to_str().unwrap();
    let mut bytes = decode_hex(text).unwrap();
    // n - s, with the order of secp256k1.
    let order = decode_hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
    let mut borrow = 0_i16;
    for (s, n) in bytes[32..].iter_mut().zip(order.unwrap()).rev() {
        let mut digit = i16::from(n) - i16::from(*s) - borrow;
        borrow = i16::from(digit < 0);
        digit += 256 * borrow;
        *s = digit.try_into().unwrap();
    }
    let turned = encode_hex(&bytes).parse().unwrap();
    signed.metadata_mut().insert(SIGNATURE, turned);
    assert_eq!(code(raw.leave(signed).await), Code::Unauthenticated);
}

#[tokio::test]
async fn a_signed_join_answers_the_keys_address() {
    let world = World::new(false).await;
    let client = world.client().signed_by(signer(1, 0));
    let join = Command::Join {
        url: "u".into(),
        name: "n".into(),
    };
    let receipt = client.execute("test", join).await.unwrap();
    assert!(matches!(receipt.answer, Answer::Joined(_)));
    assert_eq!(world.heard().unwrap().actor(), Some(address(1).as_str()));
}
