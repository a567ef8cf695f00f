//! What the hospitals' owners have written: the rules of their two datasets.

use super::places::UNIVERSITY;

/// Sums that the node itself makes and checks may leave without a question.
pub(super) const CONTROLLED: &str = "patients-controlled.csv";
/// Sums under noise may, as long as the budget lasts.
pub(super) const PRIVATE: &str = "patients-private.csv";
/// The same rows under two names: an owner's rules are a dataset's, and a task passes unasked by one kind of them only.
pub(super) const DATASETS: [&str; 2] = [CONTROLLED, PRIVATE];
/// The delta at which epsilon counts. There are 1,500 patients in a hospital.
pub(super) const DELTA: f64 = 1e-6;

/// The file of a hospital's rules. `budget`: the epsilon that the private dataset may cost.
pub(super) fn written(budget: f64) -> String {
    let columns = "columns: { id: identifier, age: quasi, hba1c: value, readmitted: value }";
    format!(
        "datasets:
  {CONTROLLED}:
    {columns}
    who: [\"org:{UNIVERSITY}\"]
    members: 3
    rows: 500
    approval: controlled
  {PRIVATE}:
    {columns}
    who: [\"org:{UNIVERSITY}\"]
    members: 3
    rows: 500
    approval: private
    privacy: {{ unit: record, epsilon: {budget}, delta: {DELTA:e}, renew: never }}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use delta_domain::policy::ApprovalMode;

    #[test]
    fn the_rules_are_read_as_they_are_meant() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("config.yaml");
        std::fs::write(&file, "").unwrap();
        std::fs::create_dir(home.path().join("policy.d")).unwrap();
        std::fs::write(home.path().join("policy.d/a.yaml"), written(1.25)).unwrap();
        let read = Config::default().load_policies(&file).unwrap().policies;
        for (name, mode, epsilon) in [
            (CONTROLLED, ApprovalMode::Controlled, None),
            (PRIVATE, ApprovalMode::Private, Some(1.25)),
        ] {
            let policy = read.of(&name.parse().unwrap());
            assert_eq!(policy.approval, mode);
            let privacy = policy.privacy.as_ref();
            assert_eq!(privacy.map(|p| p.epsilon), epsilon);
            assert!(privacy.is_none_or(|p| p.delta == DELTA));
        }
    }
}
