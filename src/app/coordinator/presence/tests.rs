//! Members that end, vanish, work, come back, and forgers.

use super::*;
use delta_domain::ids::{Digest, RoundNumber};
use delta_domain::round::message::RequestBody;
use delta_domain::round::record::RawPublicKeys;
use delta_domain::secagg::keys::{Curve, KeyPair};
use delta_memory::PausedClock;

const CURVE: Curve = Curve::Secp256k1;

fn member(n: u8) -> Address {
    format!("0x{n:040x}").parse().unwrap()
}

fn pair(n: u8) -> KeyPair {
    KeyPair::from_secret_bytes(CURVE, &[n; 32]).unwrap()
}

fn attend(sender: u8, key: u8) -> SignedRequest {
    let mut request = SignedRequest {
        task: format!("0x{}", "ab".repeat(32)).parse().unwrap(),
        round: RoundNumber(1),
        sender: member(sender),
        view: Digest([0; 32]),
        body: RequestBody::Attend,
        signature: Vec::new(),
    };
    request.signature = pair(key).sign(&request.signed_bytes());
    request
}

/// Three members of a round.
fn presence() -> (PausedClock, Arc<Presence>) {
    let clock = PausedClock::new(Timestamp(1_000_000));
    let presence = Presence::new(Arc::new(clock.clone()));
    presence.learn(1, &directory());
    (clock, presence)
}

fn directory() -> Directory {
    let members: Vec<Address> = (1..4).map(member).collect();
    let keys: Vec<RawPublicKeys> = (1..4)
        .map(|n| RawPublicKeys {
            pk1: pair(n).public_ref().to_wire(),
            pk2: pair(n + 100).public_ref().to_wire(),
        })
        .collect();
    Directory::judge(CURVE, &members, &keys)
}

async fn pass(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// Looks as whoever follows a round does.
async fn lost_after(presence: &Presence, millis: u64) -> Vec<Address> {
    for _ in 0..millis / 100 {
        pass(100).await;
        presence.lost();
    }
    presence.lost().into_iter().collect()
}

/// A member that asks again and again.
async fn lives(presence: Arc<Presence>, n: u8) {
    loop {
        presence.enter(&attend(n, n)).unwrap().hold().await;
        pass(20).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_works_is_there_and_who_never_asked_too() {
    let (_clock, presence) = presence();
    let living = tokio::spawn(lives(presence.clone(), 1));
    assert!(lost_after(&presence, 60_000).await.is_empty());
    assert_eq!(presence.here(), [member(1)].into());
    living.abort();
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_is_noticed_at_once() {
    let (_clock, presence) = presence();
    let living = tokio::spawn(lives(presence.clone(), 2));
    lost_after(&presence, 5_500).await;
    living.abort();
    assert!(lost_after(&presence, 200).await.is_empty());
    assert_eq!(lost_after(&presence, 200).await, [member(2)]);
    // One that comes back is there at once.
    let stay = presence.enter(&attend(2, 2)).unwrap();
    assert!(presence.lost().is_empty());
    drop(stay);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_vanishes_is_missed_within_three_seconds() {
    let (_clock, presence) = presence();
    for _ in 0..5 {
        presence.enter(&attend(3, 3)).unwrap().hold().await;
        presence.lost();
    }
    // The answer goes nowhere; its last sign of life is a second old.
    assert!(lost_after(&presence, 1_400).await.is_empty());
    assert_eq!(lost_after(&presence, 600).await, [member(3)]);
}

#[tokio::test(start_paused = true)]
async fn while_this_process_stands_still_nobody_is_missed() {
    let (_clock, presence) = presence();
    presence.enter(&attend(1, 1)).unwrap().hold().await;
    presence.lost();
    pass(60_000).await;
    assert!(
        presence.lost().is_empty(),
        "it was not this node that was away"
    );
    assert_eq!(lost_after(&presence, 2_000).await, [member(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_departs_is_not_missed() {
    let (_clock, presence) = presence();
    presence.enter(&attend(1, 1)).unwrap().hold().await;
    let mut request = attend(1, 1);
    request.body = RequestBody::Depart;
    assert_eq!(presence.depart(&request), Err(Stranger::Forged));
    request.signature = pair(1).sign(&request.signed_bytes());
    presence.depart(&request).unwrap();
    assert!(lost_after(&presence, 60_000).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_asks_before_its_key_is_known_is_there_once_it_is() {
    let clock = PausedClock::new(Timestamp(1_000_000));
    let early = Presence::new(Arc::new(clock));
    let asking = early.clone();
    let asked = tokio::spawn(async move { asking.admit(&attend(1, 1)).await.ok() });
    pass(200).await;
    early.learn(1, &directory());
    let stay = asked.await.unwrap().unwrap();
    assert_eq!(early.here(), [member(1)].into());
    drop(stay);
    let unknown = early.admit(&attend(9, 9)).await.err();
    assert_eq!(unknown, Some(Stranger::Unknown));
}

#[tokio::test(start_paused = true)]
async fn nobody_sits_in_anothers_seat() {
    let (_clock, presence) = presence();
    let refused = |request| presence.enter(&request).err();
    assert_eq!(refused(attend(1, 2)), Some(Stranger::Forged));
    assert_eq!(refused(attend(9, 9)), Some(Stranger::Unknown));
    // Two requests of one member: it is there as long as one is held.
    let first = presence.enter(&attend(1, 1)).unwrap();
    drop(presence.enter(&attend(1, 1)).unwrap());
    assert!(lost_after(&presence, 5_000).await.is_empty());
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn one_member_takes_no_more_than_its_places() {
    let (_clock, presence) = presence();
    let stays: Vec<Stay> = (0..MOST_HELD * 2)
        .map(|_| presence.enter(&attend(1, 1)).unwrap())
        .collect();
    let held = stays.iter().filter(|stay| !stay.hold.is_zero()).count();
    assert_eq!(held, MOST_HELD_EACH);
    let other = presence.enter(&attend(2, 2)).unwrap();
    assert_eq!(other.hold, HOLD, "the others' places are theirs");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_request_under_an_old_key_says_nothing() {
    let (_clock, presence) = presence();
    let old = presence.enter(&attend(1, 1)).unwrap();
    let renewed = Directory::judge(
        CURVE,
        &[member(1)],
        &[RawPublicKeys {
            pk1: pair(9).public_ref().to_wire(),
            pk2: pair(109).public_ref().to_wire(),
        }],
    );
    presence.learn(2, &renewed);
    let new = presence.enter(&attend(1, 9)).unwrap();
    drop(old);
    assert_eq!(lost_after(&presence, 900).await, []);
    drop(new);
    assert_eq!(lost_after(&presence, 900).await, [member(1)]);
}
