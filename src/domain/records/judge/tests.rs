//! Decisions: ACRO's on 69 outputs, and attacks that its rules alone let pass.

use serde::Deserialize;

use super::*;
use crate::records::facts::tests::units;

#[derive(Deserialize)]
struct Table {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    kind: String,
    cells: Vec<Vec<i64>>,
    broken: Vec<String>,
}

impl Case {
    /// One row for each record, as a graph of the `records` driver would make it.
    fn rows(&self) -> Vec<Vec<i64>> {
        if self.kind == "ols" {
            return (0..self.cells[0].len())
                .map(|i| self.cells.iter().map(|column| column[i]).collect())
                .collect();
        }
        let cells = self.cells.len();
        let mut rows = Vec::new();
        for (i, cell) in self.cells.iter().enumerate() {
            for value in cell {
                let mut row = vec![0; 2 * cells];
                row[i] = 1;
                row[cells + i] = *value;
                row.truncate(if self.kind == "sum" { 2 * cells } else { cells });
                rows.push(row);
            }
        }
        rows
    }
}

fn broken(rows: &[Vec<i64>]) -> Vec<RecordsRule> {
    audit(&units(rows), &ReleaseRules::default()).broken()
}

fn names(rows: &[Vec<i64>]) -> Vec<&'static str> {
    broken(rows).iter().map(|rule| rule.name()).collect()
}

#[test]
fn decisions_are_those_of_acro() {
    let table: Table =
        serde_json::from_str(include_str!("../../../../tests/fixtures/acro.json")).unwrap();
    assert!(table.cases.len() >= 60);
    for case in &table.cases {
        let ours = broken(&case.rows());
        let failed = |check: &str| case.broken.iter().any(|name| name == check);
        let is = |rule| ours.contains(&rule);
        if case.kind == "ols" {
            assert_eq!(
                is(RecordsRule::Freedom),
                failed("MinimumDoFCheck"),
                "{}",
                case.name
            );
            continue;
        }
        let few = is(RecordsRule::Cells) || is(RecordsRule::Rows);
        assert_eq!(few, failed("MinimumThresholdCheck"), "{}", case.name);
        let dominated = failed("NKCheck") || failed("PPercentCheck");
        assert_eq!(is(RecordsRule::Dominance), dominated, "{}", case.name);
    }
}

#[test]
fn an_even_table_passes() {
    let rows: Vec<Vec<i64>> = (0..200)
        .map(|i| vec![1, i % 2, 20 + i % 11, (20 + i % 11) * (i % 2), 0])
        .collect();
    let verdict = audit(&units(&rows), &ReleaseRules::default());
    assert!(verdict.passes(), "{verdict:?}");
}

#[test]
fn each_rule_speaks_for_itself() {
    let value = |i: i64| 20 + i * i % 11;
    // Nine units; of one number, and one indicator of all.
    assert_eq!(
        names(&(0..9).map(|_| vec![1]).collect::<Vec<_>>()),
        ["records.rows", "records.cells", "records.freedom"]
    );
    // Seven numbers of twenty.
    let wide: Vec<Vec<i64>> = (0..20).map(|i| vec![value(i); 7]).collect();
    assert_eq!(names(&wide), ["records.outputs"]);
    let cell: Vec<Vec<i64>> = (0..100).map(|i| vec![i64::from(i < 9)]).collect();
    assert_eq!(names(&cell), ["records.cells"]);
    let empty: Vec<Vec<i64>> = (0..100).map(|_| vec![0]).collect();
    assert!(names(&empty).is_empty());
    let wage: Vec<Vec<i64>> = (0..100)
        .map(|i| vec![if i == 4 { 1_000_000 } else { value(i) }])
        .collect();
    assert_eq!(names(&wage), ["records.dominance", "records.leverage"]);
    // A number of one unit on an offset: no other rule sees it.
    let offset: Vec<Vec<i64>> = (0..100)
        .map(|i| vec![1_000_000 + i64::from(i == 4) * 31])
        .collect();
    assert_eq!(names(&offset), ["records.leverage"]);
    let many: Vec<Vec<i64>> = (0..1000).map(|_| vec![1; MAX_AUDITED + 1]).collect();
    assert_eq!(names(&many), ["records.leverage"]);
}

#[test]
fn nobody_is_audited_without_records() {
    let facts = Facts {
        units: 0,
        outputs: vec![OutputFacts::default()],
        spread: None,
    };
    let rules = ReleaseRules::default();
    let first = [RecordsRule::Rows, RecordsRule::Outputs];
    assert_eq!(judge(&rules, &facts).broken()[..2], first);
}

#[test]
fn negative_numbers_are_judged_by_magnitude() {
    let rows: Vec<Vec<i64>> = (0..40)
        .map(|i| {
            vec![match i {
                0 => 5000,
                1 => -5000,
                _ => i % 5 - 2,
            }]
        })
        .collect();
    assert!(names(&rows).contains(&"records.dominance"));
}

#[test]
fn tighter_limits_refuse_more() {
    let rows: Vec<Vec<i64>> = (0..30)
        .map(|i| vec![i64::from(i % 2 == 0), 50 + i % 3])
        .collect();
    let units = units(&rows);
    let plain = ReleaseRules::default();
    assert!(audit(&units, &plain).passes());
    for (tight, rule) in [
        (
            ReleaseRules {
                threshold: 31,
                ..plain
            },
            RecordsRule::Rows,
        ),
        (
            ReleaseRules {
                threshold: 16,
                ..plain
            },
            RecordsRule::Cells,
        ),
        (
            ReleaseRules {
                dominance: 0.05,
                ..plain
            },
            RecordsRule::Dominance,
        ),
        (
            ReleaseRules {
                freedom: 28,
                ..plain
            },
            RecordsRule::Freedom,
        ),
        (
            ReleaseRules {
                outputs_per_row: 0.06,
                ..plain
            },
            RecordsRule::Outputs,
        ),
        (
            ReleaseRules {
                leverage: 0.05,
                ..plain
            },
            RecordsRule::Leverage,
        ),
    ] {
        assert_eq!(audit(&units, &tight).broken().first(), Some(&rule));
        assert_eq!(plain.and(tight), tight);
    }
}

#[test]
fn findings_name_numbers_and_rules_do_not() {
    let rows: Vec<Vec<i64>> = (0..100).map(|i| vec![i64::from(i < 7)]).collect();
    let verdict = audit(&units(&rows), &ReleaseRules::default());
    assert_eq!(
        verdict.findings[0].why,
        "7 units contribute to output 0, and 0 or at least 10 may"
    );
    assert_eq!(verdict.broken(), [RecordsRule::Cells]);
}
