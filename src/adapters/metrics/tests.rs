//! What is observed is what is told, in both forms.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use delta_ports::metrics::{BudgetView, Load};

fn metrics() -> PrometheusMetrics {
    PrometheusMetrics::new(&Build {
        version: "1.2.3",
        revision: "abc",
    })
}

fn vitals() -> Vitals {
    Vitals {
        tasks_running: 3,
        tasks_most: 16,
        tasks_followed: 5,
        approvals_waiting: 2,
        checks: vec![("disk", true), ("connector", false)],
        connector_away: Some(Duration::from_millis(1500)),
        connector_calls: 7,
        log_lines: 0,
        workers: Load {
            running: 2,
            waiting: 4,
            most: 2,
        },
        disk_free: Some(1 << 40),
        memory: None,
        budgets: vec![
            BudgetView {
                dataset: "a.csv".parse().unwrap(),
                epsilon: 1.5,
                committed: 0.5,
            },
            BudgetView {
                dataset: "b.csv".parse().unwrap(),
                epsilon: 1.0,
                committed: f64::INFINITY,
            },
        ],
    }
}

/// A sample's name, with its labels in order.
fn sorted(name: &str) -> String {
    let Some((name, labels)) = name.split_once('{') else {
        return name.to_owned();
    };
    let mut labels: Vec<&str> = labels.trim_end_matches('}').split(',').collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

/// Samples by name and labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (sorted(name), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

/// Measurements after one of everything.
fn observed() -> PrometheusMetrics {
    let metrics = metrics();
    let role = Role::Coordinator;
    for (outcome, millis) in [
        ("aggregated", 300),
        ("aggregated", 2000),
        ("too_few_members", 40_000),
    ] {
        let took = Duration::from_millis(millis);
        metrics.observe(Observation::RoundEnded {
            role,
            outcome,
            took,
        });
    }
    let took = Duration::from_millis(20);
    let phase = "ShareKeys";
    metrics.observe(Observation::PhaseEnded {
        role: Role::Member,
        phase,
        took,
    });
    metrics.observe(Observation::Waited {
        cause: WaitCause::Connector,
        took,
    });
    metrics.observe(Observation::Waited {
        cause: WaitCause::Connector,
        took,
    });
    metrics.observe(Observation::TaskEnded { outcome: "failed" });
    metrics.observe(Observation::Answered { class: 4 });
    metrics.observe(Observation::LimitHit(Limit::Disk));
    for (link, direction) in [
        (Link::Api, Direction::Sent),
        (Link::Coordinators, Direction::Received),
    ] {
        metrics.observe(Observation::Carried {
            link,
            direction,
            bytes: 1000,
        });
    }
    metrics
}

#[test]
fn what_happened_is_counted_where_it_belongs() {
    let metrics = observed();
    let got = samples(
        &metrics
            .exposition(Exposition::Prometheus, &vitals())
            .unwrap(),
    );
    for (sample, value) in [
        (
            r#"delta_rounds_total{role="coordinator",outcome="aggregated"}"#,
            2.0,
        ),
        (
            r#"delta_rounds_total{role="coordinator",outcome="too_few_members"}"#,
            1.0,
        ),
        (
            r#"delta_rounds_total{role="member",outcome="contributed"}"#,
            0.0,
        ),
        (
            r#"delta_round_duration_seconds_bucket{le="0.25",role="coordinator",outcome="aggregated"}"#,
            0.0,
        ),
        (
            r#"delta_round_duration_seconds_bucket{le="0.5",role="coordinator",outcome="aggregated"}"#,
            1.0,
        ),
        (
            r#"delta_round_duration_seconds_bucket{le="+Inf",role="coordinator",outcome="aggregated"}"#,
            2.0,
        ),
        (
            r#"delta_round_duration_seconds_sum{role="coordinator",outcome="aggregated"}"#,
            2.3,
        ),
        (
            r#"delta_phase_duration_seconds_count{role="member",phase="ShareKeys"}"#,
            1.0,
        ),
        (r#"delta_wait_seconds_total{cause="connector"}"#, 0.04),
        (r#"delta_wait_seconds_total{cause="owner"}"#, 0.0),
        (r#"delta_tasks_total{outcome="failed"}"#, 1.0),
        (r#"delta_http_requests_total{status="4xx"}"#, 1.0),
        (r#"delta_limit_hits_total{limit="disk"}"#, 1.0),
        (r#"delta_limit_hits_total{limit="tasks"}"#, 0.0),
        (
            r#"delta_network_bytes_total{link="api",direction="sent"}"#,
            1000.0,
        ),
        (
            r#"delta_network_bytes_total{link="coordinators",direction="received"}"#,
            1000.0,
        ),
        (
            r#"delta_network_bytes_total{link="api",direction="received"}"#,
            0.0,
        ),
        (r#"delta_build_info{version="1.2.3",revision="abc"}"#, 1.0),
        ("delta_tasks_running", 3.0),
        ("delta_approvals_waiting", 2.0),
        (r#"delta_ready{check="disk"}"#, 1.0),
        (r#"delta_ready{check="connector"}"#, 0.0),
        ("delta_connector_up", 0.0),
        ("delta_connector_away_seconds", 1.5),
        (r#"delta_queue_length{queue="workers"}"#, 4.0),
        ("delta_workers_running", 2.0),
        ("delta_disk_free_bytes", (1_u64 << 40) as f64),
        (r#"delta_privacy_epsilon_left{dataset="a.csv"}"#, 1.0),
        (r#"delta_privacy_epsilon_left{dataset="b.csv"}"#, 0.0),
        (r#"delta_privacy_epsilon_budget{dataset="b.csv"}"#, 1.0),
    ] {
        let found = got.get(&sorted(sample)).copied();
        assert!(
            found.is_some_and(|v| (v - value).abs() < 1e-9),
            "{sample}: {found:?}"
        );
    }
}

#[test]
fn a_dataset_that_is_gone_is_not_told_of_any_more() {
    let metrics = metrics();
    let first = metrics
        .exposition(Exposition::Prometheus, &vitals())
        .unwrap();
    assert!(first.contains("b.csv"));
    let later = metrics
        .exposition(Exposition::Prometheus, &Vitals::default())
        .unwrap();
    assert!(
        !later.contains("b.csv") && !later.contains("delta_disk_free_bytes"),
        "{later}"
    );
}

/// Every family has one help line, one type line and a name that its type asks for; all its samples follow.
#[test]
fn both_forms_keep_to_their_rules() {
    let metrics = observed();
    for form in [Exposition::Prometheus, Exposition::OpenMetrics] {
        let text = metrics.exposition(form, &vitals()).unwrap();
        let mut family: Option<(String, String)> = None;
        let mut seen = Vec::new();
        for line in text.lines() {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words.as_slice() {
                ["#", "HELP", name, help] => {
                    assert!(!seen.contains(&(*name).to_owned()), "{name} comes twice");
                    assert!(help.len() > 10, "{line}");
                    seen.push((*name).to_owned());
                }
                ["#", "TYPE", name, kind] => {
                    assert_eq!(seen.last().map(String::as_str), Some(*name));
                    let total = name.ends_with("_total");
                    let plain = form == Exposition::Prometheus;
                    assert_eq!(total, *kind == "counter" && plain, "{line}");
                    family = Some(((*name).to_owned(), (*kind).to_owned()));
                }
                ["#", "UNIT", name, unit] => assert!(name.ends_with(unit), "{line}"),
                ["#", "EOF"] => assert_eq!(form, Exposition::OpenMetrics),
                _ => {
                    let (family, kind) = family.as_ref().unwrap();
                    let name = line.split(['{', ' ']).next().unwrap();
                    let rest = name.strip_prefix(family.as_str()).unwrap();
                    let allowed: &[&str] = match kind.as_str() {
                        "histogram" => &["_bucket", "_sum", "_count"],
                        "counter" => &["", "_total"],
                        _ => &["", "_info"],
                    };
                    assert!(allowed.contains(&rest), "{line}");
                }
            }
        }
        assert!(seen.len() > 25, "{seen:?}");
        assert_eq!(text.ends_with("# EOF\n"), form == Exposition::OpenMetrics);
    }
}

/// The words of a text that name measurements.
fn named(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("delta_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn alerts_dashboards_and_documents_name_what_is_measured() {
    let text = observed()
        .exposition(Exposition::Prometheus, &vitals())
        .unwrap();
    let measured: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let mut looked_at = 0;
    let mut documented = Vec::new();
    for file in [
        "deploy/prometheus/alerts.yml",
        "deploy/prometheus/alerts.test.yml",
        "deploy/grafana/delta-node.json",
        "docs/operating.md",
    ] {
        let text = read(file);
        let lines = text
            .lines()
            .filter(|line| !file.ends_with(".md") || line.starts_with("| `delta_"));
        for name in lines.flat_map(named) {
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .unwrap_or(&name);
            assert!(
                measured.contains(&base),
                "{file} names {name}, which nobody measures"
            );
            looked_at += 1;
            if file.ends_with(".md") {
                documented.push(base.to_owned());
            }
        }
    }
    assert!(looked_at > 60, "{looked_at}");
    let ours = measured.iter().filter(|name| name.starts_with("delta_"));
    let silent: Vec<_> = ours
        .filter(|name| !documented.iter().any(|known| known == *name))
        .collect();
    assert!(
        silent.is_empty(),
        "docs/operating.md says nothing of {silent:?}"
    );
}
