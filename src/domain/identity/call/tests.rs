//! Signed calls: what the signature covers, and that no call is taken twice whatever is forgotten.

use super::*;
use crate::secret::Secret;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const METHOD: &str = "/identity.Identity/Leave";

fn key(byte: u8) -> NodeKey {
    NodeKey::new(&Secret::new([byte; 32])).unwrap()
}

fn at(ms: i64) -> Timestamp {
    Timestamp(NOW.0.checked_add_signed(ms).unwrap())
}

/// Nothing but time and nonce matters to the window.
fn call(time: Timestamp, number: u32) -> SignedCall {
    let mut nonce = [0; 16];
    nonce[..4].copy_from_slice(&number.to_be_bytes());
    SignedCall {
        key: key(1).public().clone(),
        time,
        nonce,
        signature: vec![],
    }
}

fn window(of_one: usize, of_all: usize) -> ReplayWindow {
    let limits = ReplayLimits {
        of_one,
        of_all,
        ..ReplayLimits::default()
    };
    ReplayWindow::new(limits, at(-100_000))
}

#[test]
fn a_signature_covers_key_method_body_time_and_nonce() {
    let body = Digest::of(b"body");
    let signed = SignedCall::new(&key(1), METHOD, &body, NOW, [3; 16]);
    assert_eq!(signed.verify(METHOD, &body), Ok(key(1).fingerprint()));
    assert!(signed.verify("/identity.Identity/Join", &body).is_err());
    assert!(signed.verify(METHOD, &Digest::of(b"other")).is_err());
    type Change = fn(&mut SignedCall);
    let changes: [Change; 5] = [
        |c| c.key = key(2).public().clone(),
        |c| c.time = Timestamp(c.time.0 + 1),
        |c| c.nonce[0] ^= 1,
        |c| c.signature[9] ^= 1,
        |c| c.signature.push(0),
    ];
    for change in changes {
        let mut changed = signed.clone();
        change(&mut changed);
        assert!(changed.verify(METHOD, &body).is_err());
    }
}

#[test]
fn a_call_is_taken_once_and_only_near_now() {
    let mut window = window(100, 100);
    let who = key(1).fingerprint();
    assert_eq!(window.admit(who, &call(NOW, 1), NOW), Ok(()));
    assert_eq!(
        window.admit(who, &call(NOW, 1), at(30_000)),
        Err(CallFault::Repeated)
    );
    assert_eq!(window.admit(who, &call(NOW, 2), NOW), Ok(()));
    assert_eq!(
        window.admit(key(2).fingerprint(), &call(NOW, 1), NOW),
        Ok(())
    );
    for ms in [-60_001, 5_001, -3_600_000, 3_600_000] {
        assert_eq!(
            window.admit(who, &call(at(ms), 3), NOW),
            Err(CallFault::Clock),
            "{ms}"
        );
    }
    for ms in [-60_000, 5_000] {
        assert_eq!(window.admit(who, &call(at(ms), 3), NOW), Ok(()), "{ms}");
    }
}

#[test]
fn a_connector_that_starts_again_takes_nothing_from_before() {
    let mut window = ReplayWindow::new(ReplayLimits::default(), NOW);
    let who = key(1).fingerprint();
    assert_eq!(
        window.admit(who, &call(at(-1), 1), at(10)),
        Err(CallFault::Clock)
    );
    assert_eq!(window.admit(who, &call(at(5), 1), at(10)), Ok(()));
}

/// Every call that was taken is offered again at every later moment: none is taken twice, and memory stays within its bounds.
#[test]
fn nothing_is_taken_twice_whatever_is_forgotten() {
    for (of_one, of_all) in [(4, 1000), (1000, 16), (3, 7), (1, 1)] {
        let mut window = window(of_one, of_all);
        let mut taken: Vec<(u8, SignedCall)> = Vec::new();
        for step in 0..400_u32 {
            let now = at(i64::from(step) * 700);
            let who = u8::try_from(step % 5).unwrap() + 1;
            // Times go back and forth within the window, as those of several callers would.
            let skew = i64::from(step * 7919 % 55_000) - 50_000;
            let fresh = call(at(i64::from(step) * 700 + skew), step);
            if window.admit(key(who).fingerprint(), &fresh, now).is_ok() {
                taken.push((who, fresh));
            }
            assert!(window.len() <= of_all.max(of_one * 5) + 1);
            if step % 20 == 0 {
                for (who, old) in &taken {
                    assert!(window.admit(key(*who).fingerprint(), old, now).is_err());
                }
            }
        }
        assert!(!taken.is_empty());
    }
}

#[test]
fn a_key_that_calls_very_often_goes_on() {
    let mut window = window(64, 100_000);
    let who = key(1).fingerprint();
    for step in 0..5000_u32 {
        let now = at(i64::from(step));
        assert_eq!(window.admit(who, &call(now, step), now), Ok(()));
        assert!(window.len() <= 64);
    }
}

#[test]
fn others_go_on_when_one_fills_the_window() {
    let mut window = window(1 << 20, 64);
    for step in 0..500_u32 {
        let now = at(i64::from(step) * 10);
        let _either_way = window.admit(key(1).fingerprint(), &call(now, step), now);
        let honest = call(Timestamp(now.0 + 1), step);
        assert_eq!(window.admit(key(2).fingerprint(), &honest, now), Ok(()));
        assert!(window.len() <= 65);
    }
}
