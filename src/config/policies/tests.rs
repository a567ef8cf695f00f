//! Policies as owners write them: right ones, wrong ones, in one file and in many.

use super::*;
use crate::config::{EXAMPLE, Purpose};
use delta_domain::policy::{ApprovalMode, Role};

const OWNERS: &str = r#"datasets:
  patients.csv:
    columns: { id: identifier, name: hidden, age: quasi, hba1c: value }
    who: ["org:university-hospital"]
    kinds: [statistics, regression, learning]
    members: 3
    colluders: 1
    rows: 50
    outputs_per_row: 0.33
    rounds_per_day: 500
    approval: ask
    privacy: { unit: record, epsilon: 3.0, delta: 1e-6, renew: yearly }
    until: 2027-12-31
"#;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(FOLDER)).unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn load(folder: &tempfile::TempDir) -> Result<LoadedPolicies, Vec<String>> {
    let file = folder.path().join("config.yaml");
    let loaded = Config::default().load_policies(&file);
    loaded.map_err(|error| {
        let strip = format!("{}/", folder.path().display());
        let errors = error.errors.iter();
        errors.map(|e| e.to_string().replace(&strip, "")).collect()
    })
}

fn errors(text: &str) -> Vec<String> {
    let found = errors_of(Path::new("c.yaml"), text);
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn the_owners_example_is_read_from_either_place() {
    let in_config = load(&folder(&[("config.yaml", OWNERS)])).unwrap();
    let apart = load(&folder(&[
        ("config.yaml", EXAMPLE),
        ("policy.d/patients.yaml", OWNERS),
    ]))
    .unwrap();
    assert_eq!(in_config.policies, apart.policies);
    assert_eq!(in_config.digest, apart.digest);
    let policy = in_config.policies.of(&"patients.csv".parse().unwrap());
    assert_eq!(policy.members, Some(3));
    assert_eq!(policy.approval, ApprovalMode::Ask);
    assert_eq!(policy.columns.as_ref().unwrap()["name"], Role::Hidden);
    assert_eq!(policy.privacy.as_ref().unwrap().delta, 1e-6);
    let other = in_config.policies.of(&"other.csv".parse().unwrap());
    assert_eq!(other, &Policy::default());
}

#[test]
fn every_problem_has_its_line_and_column() {
    let text = r#"datasets:
  a.csv:
    colums: { id: identifier }
    columns: { id: identifer, 0: value }
    who: ["anna"]
    kinds: [statistic]
    members: 1
    rows: many
    approval: private
    privacy: { unit: record, epsilon: 0, delta: 1e-6, renews: yearly }
    until: 2027-02-30
  ../b: {}
  c.csv: ask
  d.csv:
    rows:
"#;
    assert_eq!(
        errors(text),
        [
            "c.yaml:3:5: unknown key `colums`; did you mean `columns`?",
            "c.yaml:4:20: column `id` must be identifier, hidden, quasi or value, not \"identifer\"; did you mean `identifier`?",
            "c.yaml:6:12: `kinds` must be a list of statistics, regression and learning",
            "c.yaml:8:11: `rows` must be a whole number above 0, not \"many\"",
            "c.yaml:10:55: unknown key `privacy.renews`; did you mean `renew`?",
            "c.yaml:7:14: `members` must be a whole number from 2 to 10000",
            "c.yaml:11:12: `until` is no day: expected YYYY-MM-DD, the last day on which anything is allowed",
            "c.yaml:5:10: `who` is wrong: \"anna\" names nobody: expected org:NAME, a node's key or fingerprint, or author:NAME@ and one of these",
            "c.yaml:12:3: dataset name \"../b\" is not valid: expected a plain file name of at most 255 bytes, without '/', '\\', control characters, and not starting with '.'",
            "c.yaml:13:10: `c.csv` needs rules under it, indented, for example approval: ask",
            "c.yaml:15:5: `rows` has no value: it must be a whole number above 0; remove the key for no limit",
        ]
    );
}

#[test]
fn the_configuration_tells_them_too() {
    let text = "log:\n  levle: INFO\ndatasets:\n  a.csv:\n    row: 5\n";
    let error =
        Config::parse(Path::new("c.yaml"), text, &BTreeMap::new(), Purpose::Tool).unwrap_err();
    assert_eq!(
        error.to_string(),
        "c.yaml:2:3: unknown key `log.levle`; did you mean `log.level`?\nc.yaml:5:5: unknown key `row`; did you mean `rows`?"
    );
}

#[test]
fn columns_may_have_numbers_for_names() {
    let text = "datasets:\n  a.txt:\n    columns: { 0: hidden, 1: value }\n";
    let loaded = load(&folder(&[("config.yaml", text)])).unwrap();
    let policy = loaded.policies.of(&"a.txt".parse().unwrap());
    assert_eq!(policy.columns.as_ref().unwrap()["0"], Role::Hidden);
}

#[test]
fn one_dataset_has_one_set_of_rules() {
    let rules = "datasets:\n  a.csv:\n    rows: 5\n";
    let errors = load(&folder(&[
        ("config.yaml", rules),
        ("policy.d/a.yaml", rules),
    ]));
    assert_eq!(errors.unwrap_err().len(), 1, "the second place is an error");
    let twice = "datasets:\n  a.csv: {}\n  a.csv: {}\n";
    let errors = load(&folder(&[("config.yaml", ""), ("policy.d/a.yaml", twice)]));
    assert!(errors.unwrap_err()[0].contains("not YAML"));
}

#[test]
fn nothing_in_the_folder_is_passed_over_in_silence() {
    let files = [
        ("config.yaml", ""),
        ("policy.d/a.yml", "datasets: {}"),
        ("policy.d/b.yaml", "a.csv:\n  rows: 5\n"),
        ("policy.d/c.yaml", "- 1\n"),
        ("policy.d/.d.yaml.swp", "x"),
        ("policy.d/about.txt", "x"),
    ];
    assert_eq!(
        load(&folder(&files)).unwrap_err(),
        [
            "policy.d/a.yml: is not read: the name must end in .yaml",
            "policy.d/b.yaml:1:1: unknown key `a.csv`; rules stand under `datasets`, by the name of the dataset",
            "policy.d/c.yaml:1:1: expected `datasets:` at the top of the file",
        ]
    );
}

#[test]
fn a_folder_that_is_set_must_be_there() {
    let folder = folder(&[("config.yaml", "")]);
    let mut config = Config::default();
    config.policy.dir = Some(folder.path().join("nowhere"));
    let file = folder.path().join("config.yaml");
    assert!(config.load_policies(&file).is_err());
    config.policy.dir = None;
    assert!(config.load_policies(&file).is_ok());
}

#[test]
fn a_digest_changes_with_the_rules_and_not_with_the_words() {
    let digest = |text| load(&folder(&[("config.yaml", text)])).unwrap().digest;
    let rules = digest("datasets:\n  a.csv:\n    rows: 5\n");
    assert_eq!(digest("# why\ndatasets: { a.csv: { rows: 5 } }\n"), rules);
    assert_ne!(digest("datasets:\n  a.csv:\n    rows: 6\n"), rules);
}

#[test]
fn a_configuration_that_is_broken_is_not_one_without_rules() {
    for text in ["datasets: [", "- 1", "datasets: 5"] {
        assert!(load(&folder(&[("config.yaml", text)])).is_err(), "{text}");
    }
}

/// Every block of docs/policy.md and docs/data.md that holds rules.
#[test]
fn the_documents_examples_are_read() {
    let (rules, data) = (
        include_str!("../../../docs/policy.md"),
        include_str!("../../../docs/data.md"),
    );
    let blocks: Vec<&str> = [rules, data]
        .iter()
        .flat_map(|text| text.split("```yaml\n").skip(1))
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(blocks.len() >= 5);
    for block in blocks {
        let files = [("config.yaml", ""), ("policy.d/a.yaml", block)];
        assert!(load(&folder(&files)).is_ok(), "{block}");
    }
}

#[test]
fn what_is_said_about_files_stands_beside_rules() {
    let text = r#"datasets:
  a.csv:
    approval: never
    delimiter: ";"
    decimal: ","
    missing: [-99, ".", n.a.]
    skip: 2
  b.csv:
    path: /mnt/b.csv
"#;
    let loaded = load(&folder(&[("config.yaml", text)])).unwrap();
    let said = &loaded.dialects[&"a.csv".parse().unwrap()];
    assert_eq!((said.decimal, said.skip), (Some(b','), Some(2)));
    assert_eq!(said.missing, ["-99", ".", "n.a."]);
    let said = &loaded.dialects[&"b.csv".parse().unwrap()];
    assert_eq!(said.path.as_deref(), Some("/mnt/b.csv"));
    let rules = loaded.policies.of(&"a.csv".parse().unwrap());
    assert_eq!(rules.approval, ApprovalMode::Never);
    assert_eq!(
        loaded.policies.of(&"b.csv".parse().unwrap()),
        &Policy::default()
    );
}

#[test]
fn what_is_wrongly_said_about_files_has_its_place() {
    let text = "datasets:\n  a.csv:\n    delimiter: \"::\"\n    skip: two\n    encodin: latin1\n    thousands: [a]\n";
    let mut found = errors(text);
    found.sort();
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(
        found[0].starts_with("c.yaml:3:16: `delimiter` must be one character"),
        "{}",
        found[0]
    );
    assert!(
        found[1].contains("c.yaml:4:") && found[1].contains("`skip` must be"),
        "{}",
        found[1]
    );
    assert!(
        found[2].contains("did you mean `encoding`?"),
        "{}",
        found[2]
    );
    assert!(found[3].contains("`thousands` must be"), "{}", found[3]);
}

#[test]
fn the_document_names_every_setting() {
    let text = include_str!("../../../docs/data.md");
    for (key, _) in words::KEYS {
        assert!(text.contains(&format!("| `{key}` |")), "{key}");
    }
}

#[test]
fn the_document_names_every_key_and_every_rule() {
    let text = include_str!("../../../docs/policy.md");
    let rules = delta_domain::policy::Rule::ALL
        .iter()
        .map(|rule| rule.name());
    let keys = KEYS.iter().map(|(key, _)| *key);
    for name in rules.chain(keys).chain(PRIVACY_KEYS.iter().copied()) {
        assert!(text.contains(&format!("`{name}`")), "{name}");
    }
}

/// `config/policy.schema.json` is what the types say. To renew it: `WRITE_SCHEMA=1 cargo test --features testing --lib policy_schema`.
#[cfg(feature = "testing")]
#[test]
fn the_published_policy_schema_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/policy.schema.json");
    let generated = delta_domain::policy::schema_json();
    if std::env::var_os("WRITE_SCHEMA").is_some() {
        std::fs::write(path, &generated).unwrap();
    }
    let published = std::fs::read_to_string(path).unwrap();
    // Compared as values: the order of keys depends on features that other crates turn on.
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert!(
        value(&published) == value(&generated),
        "config/policy.schema.json is stale; renew it as the comment above says"
    );
}

const PUBLISHED: &str = r#"datasets:
  patients.csv:
    columns: { id: identifier, name: hidden, age: quasi, hba1c: value }
    catalogue:
      description: Patients of ward 3, one row each
      columns:
        age: { type: integer, unit: years, range: [0, 120] }
        sex: { type: category, levels: [f, m, 9], role: quasi }
        hba1c: { type: float, unit: 1, missing: 0.05 }
        seen: { type: date, range: [2020-01-01, 2025-12-31] }
        note:
      rows: rounded
      rules: shown
  scans:
    catalogue: { samples: { shape: [1, 28, 28], classes: [cat, dog], range: [0, 255] } }
  visits.csv:
    catalogue: { columns: from-file }
"#;

#[test]
fn what_is_published_stands_beside_rules_and_changes_none() {
    let loaded = load(&folder(&[("config.yaml", PUBLISHED)])).unwrap();
    let of = |name: &str| {
        let name: DatasetName = name.parse().unwrap();
        let policy = loaded.policies.of(&name);
        loaded.published[&name].listing(&name, policy, None, Some(534))
    };
    let patients = of("patients.csv");
    assert_eq!(patients.check(), Ok(()));
    let columns = patients.columns.unwrap();
    assert_eq!(columns.len(), 5);
    let hba1c = columns.iter().find(|c| c.name == "hba1c").unwrap();
    assert_eq!(hba1c.unit.as_deref(), Some("1"));
    assert_eq!(hba1c.role, Some(Role::Value));
    assert!(patients.rows.is_some() && patients.terms.is_some());
    assert_eq!(of("scans").samples.unwrap().shape, [1, 28, 28]);
    assert!(loaded.published[&"visits.csv".parse().unwrap()].wants_outline());
    let without: String = PUBLISHED.split("    catalogue:\n").take(1).collect();
    let rules = load(&folder(&[("config.yaml", &without)])).unwrap();
    let name = "patients.csv".parse().unwrap();
    assert_eq!(rules.policies.of(&name), loaded.policies.of(&name));
    assert!(rules.published.is_empty());
}

#[test]
fn what_is_wrongly_published_has_its_place() {
    let text = r#"datasets:
  a.csv:
    columns: { name: hidden, age: quasi }
    catalogue:
      descripton: Patients
      columns:
        name: { type: string }
        age: { type: whole, range: [1, 2, 3] }
        sex: { levels: [f, m] }
        day: { type: date, range: [1, 2] }
      rows: exact
  b.csv:
    catalogue:
  c.csv:
    catalogue: { columns: { x: 5 } }
  d.csv:
    columns: { name: hidden }
    catalogue:
      columns:
        name: { type: string }
        sex: { levels: [f, m] }
"#;
    assert_eq!(
        errors(text),
        [
            "c.yaml:8:22: `catalogue.columns.age.type` must be one of integer, float, boolean, category, string, date, not \"whole\"",
            "c.yaml:8:36: `catalogue.columns.age.range` must be the smallest and the largest value that can be, for example [0, 120]",
            "c.yaml:5:7: unknown key `catalogue.descripton`; did you mean `description`?",
            "c.yaml:11:13: `catalogue.rows` must be rounded, not \"exact\"",
            "c.yaml:13:15: `catalogue` must be a section, for example { description: Patients of ward 3, columns: from-file }; {} publishes the name alone",
            "c.yaml:15:32: `catalogue.columns.x` must be a section, for example { type: integer, unit: years }, not 5",
            "c.yaml:20:15: `catalogue.columns.name` is hidden in the rules, and what is hidden is never published",
            "c.yaml:21:14: `catalogue.columns.sex` has levels and is no category",
        ]
    );
}

#[test]
fn the_document_names_every_key_of_a_catalogue() {
    let text = include_str!("../../../docs/data.md");
    let keys = published::KEYS
        .iter()
        .chain(published::COLUMN_KEYS)
        .chain(published::SAMPLES_KEYS);
    for (key, _) in keys {
        assert!(text.contains(&format!("| `{key}` |")), "{key}");
    }
}
