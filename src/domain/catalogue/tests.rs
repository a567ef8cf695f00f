//! What is said becomes what is read, and what is signed comes back as it went.

use proptest::prelude::*;

use super::*;
use crate::identity::NodeKey;
use crate::policy::{ApprovalMode, Policy, PolicyForm, Role};
use crate::secret::Secret;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp(1_795_824_000_000);
const DAY: u64 = 24 * 3600 * 1000;

fn key(byte: u8) -> NodeKey {
    NodeKey::new(&Secret::new([byte; 32])).unwrap()
}

fn policy(json: &str) -> Policy {
    let form: PolicyForm = serde_json::from_str(json).unwrap();
    form.check().unwrap()
}

fn said(json: &str) -> SaidForm {
    serde_json::from_str(json).unwrap()
}

fn faults(json: &str, policy: &Policy) -> Vec<String> {
    let faults = said(json).check(policy.columns.as_ref()).unwrap_err();
    let line = |f: crate::policy::FieldFault| format!("{} {}", f.path.join("."), f.fault);
    faults.into_iter().map(line).collect()
}

#[test]
fn a_listing_is_what_the_owner_wrote() {
    let rules = policy(
        r#"{"columns": {"id": "identifier", "name": "hidden", "age": "quasi"}, "members": 3}"#,
    );
    let form = said(
        r#"{"description": "Patients,\n one row each", "columns": {
            "age": {"type": "integer", "unit": "years", "range": [0, 120], "missing": 0.05},
            "sex": {"type": "category", "levels": ["f", 1, true], "role": "quasi"},
            "seen": {"type": "date", "range": ["2020-01-01", "2025-12-31"]}}}"#,
    );
    let said = form.check(rules.columns.as_ref()).unwrap();
    let listing = said.listing(&"p.csv".parse().unwrap(), &rules, None, Some(534));
    assert_eq!(listing.check(), Ok(()));
    assert_eq!(
        listing.description.as_deref(),
        Some("Patients, one row each")
    );
    assert_eq!((listing.rows, &listing.terms), (None, &None), "not said");
    let columns = listing.columns.unwrap();
    let age = columns.iter().find(|c| c.name == "age").unwrap();
    assert_eq!(age.range, Some(("0".to_owned(), "120".to_owned())));
    assert_eq!(
        (age.role, age.missing.clone()),
        (Some(Role::Quasi), Plain::of(0.05))
    );
    let sex = columns.iter().find(|c| c.name == "sex").unwrap();
    assert_eq!(sex.levels, ["f", "1", "true"]);
}

#[test]
fn names_and_types_come_from_the_file_only_where_that_is_said_and_never_what_is_hidden() {
    let rules = policy(r#"{"columns": {"name": "hidden", "age": "quasi"}}"#);
    let outline = Outline {
        columns: vec![
            ("name".to_owned(), Some(ColumnType::String)),
            (" age ".to_owned(), Some(ColumnType::Integer)),
            ("age".to_owned(), Some(ColumnType::Float)),
            ("a\u{202e}b".to_owned(), None),
            ("x".to_owned(), None),
        ],
    };
    let listing = |json: &str| {
        let said = said(json).check(rules.columns.as_ref()).unwrap();
        said.listing(&"p.csv".parse().unwrap(), &rules, Some(&outline), Some(534))
    };
    let of_file = listing(r#"{"columns": "from-file", "rows": "rounded", "rules": "shown"}"#);
    let columns = of_file.columns.unwrap();
    let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["age", "x"]);
    assert_eq!(columns[0].role, Some(Role::Quasi));
    assert_eq!(columns[0].range, None);
    assert_eq!(of_file.rows, Some(Rows::About(500)));
    assert_eq!(of_file.terms.unwrap().approval, ApprovalMode::Ask);
    let nothing = listing("{}");
    assert_eq!(nothing, Listing::named("p.csv".parse().unwrap()));
}

#[test]
fn what_may_not_be_published_is_told_with_its_place() {
    let rules = policy(r#"{"columns": {"name": "hidden", "age": "quasi"}}"#);
    let one = |column: &str| faults(&format!(r#"{{"columns": {{{column}}}}}"#), &rules).remove(0);
    assert!(one(r#""name": {}"#).starts_with("catalogue.columns.name is hidden"));
    assert!(one(r#""x": {"role": "hidden"}"#).contains("never published"));
    assert!(one(r#""age": {"role": "value"}"#).contains("is value here, and quasi in the rules"));
    assert!(one(r#""x": {"type": "float", "range": [2, 1]}"#).contains("ends before"));
    assert!(one(r#""x": {"type": "float", "levels": ["a"]}"#).contains("no category"));
    assert!(one(r#""x": {"type": "date", "range": [1, 2]}"#).contains("YYYY-MM-DD"));
    assert!(one(r#""x": {"range": [1, 2]}"#).contains("neither integer, float nor date"));
    assert!(one(r#""x": {"missing": 1.5}"#).contains("from 0 to 1"));
    assert!(one(r#""x": {"type": "category", "levels": ["a", "a"]}"#).contains("twice"));
    let both = faults(r#"{"columns": {}, "samples": {"shape": [1]}}"#, &rules);
    assert!(both[0].starts_with("catalogue.samples"));
    assert_eq!(faults(r#"{"samples": {"shape": [0]}}"#, &rules).len(), 1);
}

#[test]
fn a_catalogue_is_believed_from_its_node_while_it_holds() {
    use CatalogueFault as F;
    let listing = Listing::named("p.csv".parse().unwrap());
    let (mine, other) = (key(1), key(2));
    let signed = SignedCatalogue::issue(&mine, vec![listing.clone()], NOW).unwrap();
    let at = |signed: &SignedCatalogue, seen, ms| {
        signed.verify(mine.public(), seen, Timestamp(NOW.0 + ms))
    };
    assert_eq!(at(&signed, None, 0), Ok(()));
    assert_eq!(at(&signed, Some(NOW), DAY), Ok(()));
    assert_eq!(at(&signed, None, DAY + 1), Err(F::Expired));
    // Somebody replays what was true yesterday.
    assert_eq!(at(&signed, Some(Timestamp(NOW.0 + 1)), 0), Err(F::Older));
    assert_eq!(signed.verify(other.public(), None, NOW), Err(F::OtherKey));
    assert_eq!(
        signed.verify(mine.public(), None, Timestamp(NOW.0 - DAY)),
        Err(F::Times)
    );
    let mut changed = signed.clone();
    changed.signature[7] ^= 1;
    assert_eq!(at(&changed, None, 0), Err(F::Signature));
    // One that would hold for years.
    let mut form = CatalogueForm::from(signed.catalogue.clone());
    form.not_after = Timestamp(NOW.0 + 2 * DAY);
    let catalogue = Catalogue::try_from(form).unwrap();
    let signature = mine.sign(&catalogue.signed_bytes());
    let long = SignedCatalogue {
        catalogue,
        signature,
    };
    assert_eq!(at(&long, None, 0), Err(F::Times));
}

#[test]
fn a_catalogue_without_bounds_is_none() {
    let listing = Listing::named("p.csv".parse().unwrap());
    let twice = vec![listing.clone(), listing.clone()];
    assert!(SignedCatalogue::issue(&key(1), twice, NOW).is_none());
    let wide = Listing {
        columns: Some(
            (0..MAX_COLUMNS)
                .map(|i| Column {
                    name: format!("{i}-{}", "x".repeat(200)),
                    ..Column::default()
                })
                .collect(),
        ),
        ..listing.clone()
    };
    assert_eq!(wide.check(), Ok(()));
    assert!(
        SignedCatalogue::issue(&key(1), vec![wide], NOW).is_none(),
        "too long"
    );
    let signed = SignedCatalogue::issue(&key(1), vec![listing], NOW).unwrap();
    let text = serde_json::to_string(&signed).unwrap();
    assert_eq!(
        serde_json::from_str::<SignedCatalogue>(&text).unwrap(),
        signed
    );
    for (from, to) in [
        ("\"format\":1", "\"format\":2"),
        ("\"p.csv\"", "\"../p.csv\""),
        ("\"once\"", "\"On ce\""),
        ("{", "{\"x\":1,"),
    ] {
        let other = text.replacen(from, to, 1);
        assert!(
            serde_json::from_str::<SignedCatalogue>(&other).is_err(),
            "{to}"
        );
    }
}

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Zé大 .-]{1,12}"
        .prop_map(|w| w.trim().to_owned())
        .prop_filter("a word", |w| !w.is_empty())
}

fn plain_range() -> impl Strategy<Value = (String, String)> {
    (-1e9..1e9_f64, 0.0..1e6_f64).prop_map(|(low, more)| {
        let end = |x| Plain::of(x).unwrap().to_string();
        (end(low), end(low + more))
    })
}

fn column() -> impl Strategy<Value = Column> {
    let kinds = prop::option::of(prop::sample::select(vec![
        ColumnType::Integer,
        ColumnType::Float,
        ColumnType::Category,
        ColumnType::String,
    ]));
    let texts = (word(), prop::option::of(word()), prop::option::of(word()));
    let rest = (
        prop::option::of(plain_range()),
        prop::collection::btree_set(word(), 0..4),
        prop::option::of(0.0..1.0_f64),
    );
    (texts, kinds, rest).prop_map(
        |((name, unit, description), kind, (range, levels, missing))| {
            let number = matches!(kind, Some(ColumnType::Integer | ColumnType::Float));
            let category = kind == Some(ColumnType::Category);
            Column {
                name,
                kind,
                unit,
                role: number.then_some(Role::Quasi),
                levels: levels.into_iter().filter(|_| category).collect(),
                range: range.filter(|_| number),
                missing: missing.and_then(Plain::of),
                description,
            }
        },
    )
}

fn listing() -> impl Strategy<Value = Listing> {
    let columns = prop::collection::vec(column(), 0..6).prop_map(|columns| {
        let mut names = std::collections::BTreeSet::new();
        let once = columns.into_iter().filter(|c| names.insert(c.name.clone()));
        once.collect::<Vec<_>>()
    });
    let terms = prop::option::of((prop::option::of(2..9_u32), prop::option::of(0..9_u32)));
    (
        prop::option::of(word()),
        prop::option::of(columns),
        prop::option::of(0..9999_u64),
        terms,
    )
        .prop_map(|(description, columns, rows, terms)| Listing {
            description,
            rows: rows.map(Rows::of),
            columns,
            terms: terms.map(|(members, colluders)| Terms {
                members,
                colluders,
                ..Terms::default()
            }),
            ..Listing::named("p.csv".parse().unwrap())
        })
}

proptest! {
    /// What is signed, sent as JSON and read again is the same, is believed, and is signed over other bytes than anything else.
    #[test]
    fn a_signed_catalogue_comes_back_as_it_went(one in listing(), other in listing()) {
        let key = key(1);
        let signed = SignedCatalogue::issue(&key, vec![one.clone()], NOW).unwrap();
        let read: SignedCatalogue = serde_json::from_slice(&serde_json::to_vec(&signed).unwrap()).unwrap();
        prop_assert_eq!(&read, &signed);
        prop_assert_eq!(read.verify(key.public(), None, NOW), Ok(()));
        let another = SignedCatalogue::issue(&key, vec![other.clone()], NOW).unwrap();
        let bytes = |s: &SignedCatalogue| s.catalogue.signed_bytes();
        prop_assert_eq!(one == other, bytes(&signed) == bytes(&another));
        let mixed = SignedCatalogue { signature: signed.signature, ..another };
        prop_assert_eq!(mixed.verify(key.public(), None, NOW).is_ok(), one == other);
    }

    /// No text that a stranger sends becomes a listing that breaks a bound, and none makes the reader panic.
    #[test]
    fn whatever_is_read_is_within_bounds(text in ".{0,200}") {
        if let Ok(read) = serde_json::from_str::<Catalogue>(&text) {
            prop_assert!(read.datasets().len() <= MAX_DATASETS);
        }
    }
}
