//! Rosters of three organisations: what is signed, who counts, what may follow what.

use super::*;
use crate::identity::RosterEntryForm;
use crate::secret::Secret;

/// 2026-11-28.
const NOW: Timestamp = Timestamp(1_795_824_000_000);

fn key(byte: u8) -> NodeKey {
    NodeKey::new(&Secret::new([byte; 32])).unwrap()
}

fn entry(organisation: &str, byte: u8) -> RosterEntryForm {
    RosterEntryForm {
        organisation: organisation.into(),
        key: key(byte).public().to_wire(),
        url: format!("https://node{byte}.example.org"),
        until: "2027-12-31".into(),
    }
}

fn file(serial: u64, organisations: Vec<RosterEntryForm>, signers: &[u8]) -> RosterFile {
    let mut file = RosterFile {
        format: 1,
        network: "Stroke study".into(),
        serial,
        until: "2028-12-31".into(),
        organisations,
        signatures: Vec::new(),
    };
    let roster = Roster::try_from(file.clone()).unwrap();
    file.signatures = signers
        .iter()
        .map(|byte| roster.sign(&key(*byte)).unwrap())
        .collect();
    file
}

fn three(serial: u64, signers: &[u8]) -> RosterFile {
    let all = vec![entry("A", 1), entry("B", 2), entry("C", 3), entry("C", 4)];
    file(serial, all, signers)
}

fn verified(file: RosterFile) -> Result<VerifiedRoster, RosterError> {
    Roster::try_from(file)?.verify(None, NOW)
}

#[test]
fn a_majority_of_organisations_must_sign_and_keys_of_one_count_once() {
    assert!(verified(three(1, &[1, 2])).is_ok());
    assert!(verified(three(1, &[1, 3, 4])).is_ok());
    let few = |signers: &[u8]| match verified(three(1, signers)) {
        Err(RosterError::TooFew { got, needed, .. }) => (got, needed),
        other => panic!("{other:?}"),
    };
    assert_eq!(few(&[]), (0, 2));
    assert_eq!(few(&[3, 4]), (1, 2), "two keys of one organisation");
    assert_eq!(few(&[1, 1]), (1, 2), "one key twice");
    let all = Roster::try_from(three(1, &[1, 2])).unwrap();
    assert!(matches!(
        all.clone().verify(Some(3), NOW),
        Err(RosterError::TooFew { needed: 3, .. })
    ));
    assert!(all.verify(Some(0), NOW).is_ok());
}

#[test]
fn what_was_signed_cannot_be_changed() {
    type Change = fn(&mut RosterFile);
    let changes: [Change; 8] = [
        |f| f.network.push('x'),
        |f| f.serial += 1,
        |f| f.until = "2029-12-31".into(),
        |f| f.organisations[0].organisation.push('x'),
        |f| f.organisations[0].url.clear(),
        |f| f.organisations[2].until = "2028-01-01".into(),
        |f| f.organisations.swap(0, 1),
        |f| f.organisations.push(entry("D", 9)),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut changed = three(1, &[1, 2, 3]);
        change(&mut changed);
        assert_eq!(
            verified(changed),
            Err(RosterError::BadSignature { index: 0 }),
            "change {index}"
        );
    }
}

#[test]
fn only_keys_that_count_count() {
    let roster = verified(three(1, &[1, 2])).unwrap();
    let found = roster.entry(key(3).public(), NOW).unwrap();
    assert_eq!(found.organisation, "C");
    assert!(roster.entry(key(9).public(), NOW).is_none());
    // 2028: the entries are over, the roster is not.
    let later = Timestamp(1_830_297_600_000);
    assert!(roster.entry(key(3).public(), later).is_none());
    // A key that does not count any more signs for nobody.
    let all = vec![entry_until("A", 1, "2026-01-01"), entry("B", 2)];
    let failed = verified(file(1, all, &[1, 2]));
    assert!(matches!(failed, Err(RosterError::TooFew { got: 1, .. })));
    let over = RosterFile {
        until: "2026-01-01".into(),
        ..three(1, &[])
    };
    assert_eq!(verified(over), Err(RosterError::Expired));
}

fn entry_until(organisation: &str, byte: u8, until: &str) -> RosterEntryForm {
    RosterEntryForm {
        until: until.into(),
        ..entry(organisation, byte)
    }
}

#[test]
fn a_roster_follows_only_what_its_own_organisations_let_go() {
    let before = verified(three(3, &[1, 2])).unwrap();
    let same = verified(three(3, &[2, 3])).unwrap();
    assert_eq!(same.succeeds(before.roster(), None, NOW), Ok(()));
    let older = verified(three(2, &[1, 2])).unwrap();
    assert_eq!(
        older.succeeds(before.roster(), None, NOW),
        Err(RosterError::Old {
            serial: 2,
            known: 3
        })
    );
    // Strangers sign their own roster.
    let strangers = verified(file(9, vec![entry("A", 7), entry("B", 8)], &[7, 8])).unwrap();
    assert_eq!(
        strangers.succeeds(before.roster(), None, NOW),
        Err(RosterError::NotSucceeding { got: 0, needed: 2 })
    );
    // One leaves, one comes, two of those before agree.
    let next = file(
        4,
        vec![entry("A", 1), entry("B", 2), entry("D", 5)],
        &[1, 2],
    );
    let next = verified(next).unwrap();
    assert_eq!(next.succeeds(before.roster(), None, NOW), Ok(()));
}

#[test]
fn a_wrong_file_is_refused_with_its_place() {
    type Change = fn(&mut RosterFile);
    let cases: [(&str, Change); 11] = [
        ("format", |f| f.format = 2),
        ("network", |f| f.network.clear()),
        ("until", |f| f.until = "soon".into()),
        ("organisations", |f| f.organisations.clear()),
        ("organisations[1].organisation", |f| {
            f.organisations[1].organisation = " ".into();
        }),
        ("organisations[2].key", |f| {
            f.organisations[2].key = "0x12".into()
        }),
        ("organisations[2].key", |f| {
            f.organisations[2].key = f.organisations[0].key.clone();
        }),
        ("organisations[0].url", |f| {
            f.organisations[0].url = "node".into()
        }),
        ("organisations[3].until", |f| {
            f.organisations[3].until.clear()
        }),
        ("signatures[0].key", |f| {
            f.signatures[0].key = key(9).public().to_wire()
        }),
        ("signatures[1].signature", |f| {
            f.signatures[1].signature = "0xzz".into()
        }),
    ];
    for (place, change) in cases {
        let mut wrong = three(1, &[1, 2]);
        change(&mut wrong);
        match Roster::try_from(wrong) {
            Err(RosterError::Field { place: found, .. }) => assert_eq!(found, place),
            other => panic!("{place}: {other:?}"),
        }
    }
}

#[test]
fn who_signed_is_known() {
    let roster = Roster::try_from(three(1, &[1])).unwrap();
    assert!(roster.has_signed(key(1).public()));
    assert!(!roster.has_signed(key(2).public()));
    assert_eq!(roster.sign(&key(9)), None);
}
