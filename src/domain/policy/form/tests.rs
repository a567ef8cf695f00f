//! Rules as they are written: values that cannot be, defaults, the owner's example.

use super::*;

fn form(json: &str) -> PolicyForm {
    serde_json::from_str(json).unwrap()
}

fn faults(json: &str) -> Vec<String> {
    let faults = form(json).check().unwrap_err();
    faults.into_iter().map(|f| f.path.join(".")).collect()
}

#[test]
fn nothing_written_asks_and_sets_no_limit() {
    assert_eq!(form("{}").check().unwrap(), Policy::default());
    assert_eq!(Policy::default().approval, ApprovalMode::Ask);
}

#[test]
fn every_value_that_cannot_be_is_told() {
    assert_eq!(
        faults(
            r#"{"members": 1, "colluders": 10001, "rows": 0, "outputs_per_row": 0, "rounds_per_day": 0, "kinds": [],
                "approval": "private", "until": "2027-02-30", "columns": {" ": "value"}, "who": ["anna"]}"#
        ),
        [
            "members",
            "colluders",
            "rows",
            "outputs_per_row",
            "rounds_per_day",
            "kinds",
            "approval",
            "until",
            "columns. ",
            "who"
        ]
    );
    assert_eq!(faults(r#"{"who": []}"#), ["who"]);
    assert_eq!(
        faults(r#"{"privacy": {"unit": "person", "epsilon": 0, "delta": 1}}"#),
        ["privacy.epsilon", "privacy.delta", "privacy.unit"]
    );
    assert_eq!(
        faults(r#"{"privacy": {"unit": "record", "key": "id", "epsilon": 1, "delta": 1e-6}}"#),
        ["privacy.key"]
    );
    assert_eq!(
        faults(
            r#"{"records": {"threshold": 2, "dominance": 0.96, "p_percent": 0.01, "freedom": 2, "outputs_per_row": 0}}"#
        ),
        [
            "records.threshold",
            "records.dominance",
            "records.p_percent",
            "records.freedom",
            "records.outputs_per_row"
        ]
    );
    assert_eq!(
        faults(r#"{"columns": {"a": "value", " a": "hidden"}}"#),
        ["columns.a"]
    );
}

#[test]
fn keys_of_joins_are_columns_that_exist_for_tasks() {
    let policy =
        form(r#"{"columns": {"id": "identifier", "name": "hidden"}, "joins": [" id", "case"]}"#);
    let joins = policy.check().unwrap().joins;
    assert_eq!(joins, ["case", "id"].map(str::to_owned).into());
    let hidden = r#"{"columns": {"id": "identifier", "name": "hidden"}, "joins": ["name ", ""]}"#;
    assert_eq!(faults(hidden), ["joins", "joins"]);
}

#[test]
fn limits_of_releases_have_defaults() {
    let rules = |json: &str| form(json).check().unwrap().release_rules();
    let default = ReleaseRules::default();
    assert_eq!(rules("{}"), default);
    assert_eq!(rules(r#"{"records": {}}"#), default);
    let tight = ReleaseRules {
        threshold: 20,
        dominance: 0.7,
        outputs_per_row: 0.2,
        ..default
    };
    let json = r#"{"records": {"threshold": 20, "dominance": 0.7}, "outputs_per_row": 0.2}"#;
    assert_eq!(rules(json), tight);
    assert!(serde_json::from_str::<PolicyForm>(r#"{"records": {"leverage": 1}}"#).is_err());
}

#[test]
fn the_owners_example_is_read() {
    let policy = form(
        r#"{"columns": {"id": "identifier", "name": "hidden", "age": "quasi", "hba1c": "value"},
            "who": ["org:university-hospital"], "kinds": ["statistics", "regression", "learning"], "members": 3, "colluders": 1,
            "rows": 50, "outputs_per_row": 0.33, "rounds_per_day": 500, "approval": "ask",
            "privacy": {"unit": "record", "epsilon": 3.0, "delta": 1e-6, "renew": "yearly"}, "until": "2027-12-31"}"#,
    )
    .check()
    .unwrap();
    assert_eq!(policy.until, end_of_day("2027-12-31"));
    assert_eq!(policy.columns.unwrap()["name"], Role::Hidden);
}
