//! What is read out of a bundle, and what makes two bundles one question.

use super::*;
use crate::bundle::{BundleLimits, write_bundle};

const TASK: &str = r#"{
  "format": "delta-task/1", "name": "mean", "type": "horizontal",
  "datasets": {"a.csv": {"kind": "table", "columns": ["wage", "age"]}},
  "strategy": {"min_clients": 3, "max_clients": 5},
  "variables": {"out": {"location": "server", "dtype": "f64", "shape": [2]}},
  "rounds": [{
    "map": {
      "steps": [{"graph": "graphs/map.onnx",
                 "inputs": {"x": {"from": "data", "dataset": "a.csv", "field": {"columns": ["wage"]}, "subset": {"from": 0.5, "to": 0.75}}},
                 "outputs": {"y": {"to": "value", "name": "total"}}}],
      "contribute": [{"name": "total", "dtype": "f64", "shape": [2]}]
    },
    "reduce": {
      "steps": [{"graph": "graphs/reduce.onnx", "inputs": {"s": {"from": "sum", "name": "total"}},
                 "outputs": {"y": {"to": "value", "name": "mean"}}}],
      "assign": {"out": "mean"}
    }
  }],
  "outputs": ["out"]
}"#;

fn asked(json: &str, map: &[u8]) -> Question {
    let manifest: Manifest = serde_json::from_str(json).unwrap();
    let graphs = BTreeMap::from([
        ("graphs/map.onnx".to_owned(), map.to_vec()),
        ("graphs/reduce.onnx".to_owned(), b"reduce".to_vec()),
    ]);
    let bytes = write_bundle(&manifest, &graphs, &BTreeMap::new()).unwrap();
    let bundle = Bundle::open(&bytes, &BundleLimits::default()).unwrap();
    Question::of(&bundle, Author::default())
}

#[test]
fn a_question_says_what_is_read_and_what_leaves() {
    let question = asked(TASK, b"map");
    assert_eq!(question.kind, Kind::Statistics);
    assert_eq!((question.rounds, question.outputs), (1, 2));
    assert_eq!(question.class, Class::Free);
    let reads = &question.reads[&"a.csv".parse().unwrap()];
    assert_eq!(reads.columns, trimmed(&["age".into(), "wage".into()]));
    assert_eq!(reads.form, TableForm::Names);
    assert_eq!(reads.fraction, Some(0.25));
}

#[test]
fn words_do_not_make_another_question_and_all_else_does() {
    let digest = asked(TASK, b"map").digest;
    let with = |from: &str, to: &str| {
        assert!(TASK.contains(from), "{from}");
        asked(&TASK.replace(from, to), b"map").digest
    };
    assert_eq!(with("\"name\": \"mean\",", "\"name\": \"other\","), digest);
    let described = "\"type\": \"horizontal\", \"description\": \"harmless\"";
    assert_eq!(with("\"type\": \"horizontal\"", described), digest);
    assert_ne!(asked(TASK, b"mop").digest, digest);
    assert_ne!(
        with("{\"columns\": [\"wage\"]}", "{\"columns\": [\"age\"]}"),
        digest
    );
    assert_ne!(with("\"from\": 0.5", "\"from\": 0.4"), digest);
    assert_ne!(with("\"min_clients\": 3", "\"min_clients\": 2"), digest);
}

#[test]
fn a_records_step_reads_its_subset() {
    let task = TASK
        .replace(
            r#""graph": "graphs/map.onnx","#,
            r#""graph": "graphs/map.onnx", "driver": {"kind": "records", "dataset": "a.csv", "unit": {"key": "age"}, "subset": {"to": 0.5}},"#,
        )
        .replace(r#", "subset": {"from": 0.5, "to": 0.75}"#, "")
        .replace(r#""to": "value", "name": "total""#, r#""to": "sum", "name": "total""#);
    let question = asked(&task, b"map");
    assert_eq!(question.kind, Kind::Statistics);
    let reads = &question.reads[&"a.csv".parse().unwrap()];
    assert_eq!(reads.columns, trimmed(&["age".into(), "wage".into()]));
    assert_eq!(reads.fraction, Some(0.5));
}

#[test]
fn kinds_follow_from_the_form() {
    let repeated = TASK.replace("\"rounds\": [{", "\"rounds\": [{\"repeat\": 3,");
    assert_eq!(asked(&repeated, b"map").kind, Kind::Learning);
    let hlr = TASK.replace("\"horizontal\"", "\"hlr\"");
    assert_eq!(asked(&hlr, b"map").kind, Kind::Regression);
}

#[test]
fn a_question_survives_json() {
    let mut question = asked(TASK, b"map").proven(Class::Private(Spend {
        unit: Unit::Person("id".to_owned()),
        delta: 1e-6,
    }));
    let key = crate::identity::NodeKey::new(&crate::secret::Secret::new([1; 32])).unwrap();
    question.author.node = Some(key.fingerprint());
    let text = serde_json::to_string(&question).unwrap();
    assert_eq!(serde_json::from_str::<Question>(&text).unwrap(), question);
}

#[test]
fn what_is_looked_up_is_read_of_the_other_dataset() {
    let task = TASK
        .replace(
            r#""columns": ["wage", "age"]}"#,
            r#""columns": ["wage"], "joins": [{"dataset": "b.csv", "key": "id", "right_key": " person", "how": "left", "columns": ["age"]}]},
               "b.csv": {"kind": "table", "columns": ["age"]}"#,
        )
        .replace(r#"{"columns": ["wage"]}, "subset""#, r#"{"columns": ["wage", "age"]}, "subset""#);
    let question = asked(&task, b"map");
    let of = |name: &str| &question.reads[&name.parse().unwrap()];
    let (own, other) = (of("a.csv"), of("b.csv"));
    assert_eq!(own.columns, trimmed(&["wage".into()]));
    assert_eq!((&own.keys, own.direct), (&trimmed(&["id".into()]), true));
    assert!(own.found_by.is_empty());
    assert_eq!(other.columns, trimmed(&["age".into()]));
    assert_eq!(
        (&other.keys, other.direct),
        (&trimmed(&["person".into()]), false)
    );
    assert_eq!((&other.found_by, other.fraction), (&other.keys, Some(1.0)));
    let left = asked(&task.replace("\"left\"", "\"inner\""), b"map");
    assert_ne!(left.digest, question.digest);
    let text = serde_json::to_string(&question).unwrap();
    assert_eq!(serde_json::from_str::<Question>(&text).unwrap(), question);
}
