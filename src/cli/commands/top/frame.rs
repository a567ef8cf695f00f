//! What `top` shows, as lines: a function of what was seen and of the time.

use serde_json::Value;

use delta_domain::time::Timestamp;

/// Tasks that are over and shown.
const OVER: usize = 6;

/// What was seen of a node.
pub(super) struct Seen {
    pub(super) node: String,
    /// `GET /v1/vitals`.
    pub(super) vitals: Value,
    pub(super) running: Vec<Running>,
    /// Running tasks that are not among them.
    pub(super) more: usize,
    /// Tasks that are over, the newest first.
    pub(super) over: Vec<Value>,
}

/// A task that runs.
pub(super) struct Running {
    pub(super) task: Value,
    /// `GET /v1/task/progress`, or null.
    pub(super) progress: Value,
}

/// The screen, no line longer than `width` characters.
pub(super) fn lines(seen: &Seen, now: Timestamp, width: usize) -> Vec<String> {
    let mut all = head(seen, now);
    all.push(String::new());
    all.extend(running(seen, now));
    if !seen.over.is_empty() {
        all.push(String::new());
        all.extend(over(seen, now));
    }
    all.into_iter().map(|line| cut(&line, width)).collect()
}

fn head(seen: &Seen, now: Timestamp) -> Vec<String> {
    let vitals = &seen.vitals;
    let number = |path: &str| vitals.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let bad: Vec<&str> = vitals["checks"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, ok)| **ok != Value::Bool(true))
        .map(|(name, _)| name.as_str())
        .collect();
    let state = match bad.is_empty() {
        true => "ready".to_owned(),
        false => format!("NOT READY: {}", bad.join(", ")),
    };
    let away = vitals["connector_away"].as_f64();
    let connector = match away {
        None => "connector there".to_owned(),
        Some(seconds) => format!("connector AWAY for {}", span(seconds)),
    };
    let free = vitals["disk_free"].as_u64();
    let disk = free.map_or_else(String::new, |bytes| format!(", {} free", size(bytes)));
    let mut lines = vec![
        format!("{}  {}  {state}", seen.node, time(now)),
        format!(
            "{connector}{disk}, {} MiB of memory",
            number("/memory") >> 20
        ),
        format!(
            "tasks {} of {} run, {} followed; workers {} of {}, {} jobs wait; {} calls for the connector",
            number("/tasks/running"),
            number("/tasks/limit"),
            number("/tasks/followed"),
            number("/workers/running"),
            number("/workers/limit"),
            number("/queues/workers"),
            number("/queues/connector"),
        ),
    ];
    match number("/approvals_waiting") {
        0 => {}
        1 => lines.push("1 task waits for the owner: delta-node approvals list".to_owned()),
        n => lines.push(format!(
            "{n} tasks wait for the owner: delta-node approvals list"
        )),
    }
    lines
}

fn running(seen: &Seen, now: Timestamp) -> Vec<String> {
    if seen.running.is_empty() {
        return vec!["no task of this node's authors runs".to_owned()];
    }
    let mut lines = vec![format!(
        "{:>6}  {:<24} {:>9}  {:<14} {}",
        "id", "task", "step", "phase", "waits for"
    )];
    for Running { task, progress } in &seen.running {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let step = progress["round"].as_u64().zip(progress["rounds"].as_u64());
        let step = match step {
            Some((done, all)) if all > 0 => format!("{}/{all}", (done + 1).min(all)),
            _ => "-".to_owned(),
        };
        let until = progress["until"].as_u64().map(Timestamp);
        let left =
            until.map(|until| format!(" ({} left)", span(until.remaining(now).as_secs_f64())));
        let waits = progress["waits_for"].as_str();
        let waits = waits.map_or_else(
            || "-".to_owned(),
            |w| format!("{w}{}", left.unwrap_or_default()),
        );
        lines.push(format!(
            "{:>6}  {:<24} {step:>9}  {:<14} {waits}",
            task["id"].as_u64().unwrap_or(0),
            cut(&text(&task["name"]), 24),
            cut(&text(&progress["phase"]), 14),
        ));
        lines.extend(last_round(progress));
    }
    if seen.more > 0 {
        lines.push(format!("{:>6}  and {} more", "", seen.more));
    }
    lines
}

/// How the last attempt of a round went.
fn last_round(progress: &Value) -> Option<String> {
    let last = progress["history"].as_array()?.last()?;
    let seconds = span(last["seconds"].as_f64()?);
    let members = last["members"].as_u64().unwrap_or(0);
    let mut line = format!("{:>6}  last: {seconds}, {members} members", "");
    match last["dropped"].as_u64() {
        None | Some(0) => {}
        Some(n) => line.push_str(&format!(", {n} lost")),
    }
    if let Some(error) = last["error"].as_str() {
        line.push_str(&format!(", failed: {error}"));
    }
    for (name, value) in last["metrics"].as_object().into_iter().flatten() {
        if let Some(value) = value.as_f64() {
            line.push_str(&format!("  {name} {value:.4}"));
        }
    }
    Some(line)
}

fn over(seen: &Seen, now: Timestamp) -> Vec<String> {
    let mut lines = vec![format!(
        "{:>6}  {:<24} {:>9}  {}",
        "id", "over", "since", "how"
    )];
    for task in seen.over.iter().take(OVER) {
        let begun = task["created_at"].as_u64().unwrap_or(now.0);
        let age = span((now - Timestamp(begun)).as_secs_f64());
        lines.push(format!(
            "{:>6}  {:<24} {age:>9}  {}",
            task["id"].as_u64().unwrap_or(0),
            cut(task["name"].as_str().unwrap_or_default(), 24),
            task["status"].as_str().unwrap_or_default(),
        ));
    }
    lines
}

/// The beginning of a text, on one line and without anything that moves a terminal.
fn cut(text: &str, width: usize) -> String {
    let clean: Vec<char> = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match clean.len() > width {
        false => clean.into_iter().collect(),
        true => {
            let kept = width.saturating_sub(3);
            clean.into_iter().take(kept).chain("...".chars()).collect()
        }
    }
}

fn span(seconds: f64) -> String {
    match seconds {
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

fn size(bytes: u64) -> String {
    let gib = bytes as f64 / f64::from(1 << 30);
    if gib < 1.0 {
        return format!("{:.0} MiB", gib * 1024.0);
    }
    format!("{gib:.1} GiB")
}

/// `13:05:09 UTC`
fn time(now: Timestamp) -> String {
    format!("{} UTC", now.time_of_day())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen() -> Seen {
        Seen {
            node: "http://127.0.0.1:6700".to_owned(),
            vitals: json!({
                "tasks": {"running": 2, "limit": 16, "followed": 3},
                "approvals_waiting": 1,
                "checks": {"disk": true, "connector": false},
                "connector_away": 75.0,
                "queues": {"workers": 4, "connector": 0, "log": 0},
                "workers": {"running": 2, "limit": 2},
                "disk_free": 5_u64 << 30,
                "memory": 30_u64 << 20,
                "budgets": [],
            }),
            running: vec![
                Running {
                    task: json!({"id": 7, "name": "digits-cnn"}),
                    progress: json!({
                        "round": 3, "rounds": 9, "phase": "MaskedInput", "until": 1_012_500,
                        "waits_for": "0xde17a1d0b4a1ed897591180710ddba939c5829ca, 0xde17a1d03ed47d9c218cd3fd3a9e1bf6ed8cbd2b",
                        "history": [{"seconds": 0.82, "members": 3, "dropped": 1, "metrics": {"accuracy": 0.8861}}],
                    }),
                },
                Running {
                    task: json!({"id": 8, "name": "evil\u{1b}[2Jname\n"}),
                    progress: Value::Null,
                },
            ],
            more: 2,
            over: vec![
                json!({"id": 6, "name": "means", "status": "FINISHED", "created_at": 100_000}),
            ],
        }
    }

    #[test]
    fn eighty_columns_have_it_all() {
        let lines = lines(&seen(), Timestamp(1_000_000), 80);
        assert!(
            lines.iter().all(|line| line.chars().count() <= 80),
            "{lines:#?}"
        );
        let text = lines.join("\n");
        for part in [
            "NOT READY: connector",
            "connector AWAY for 75 s, 5.0 GiB free, 30 MiB",
            "tasks 2 of 16 run, 3 followed; workers 2 of 2, 4 jobs wait",
            "1 task waits for the owner",
            "     7  digits-cnn                     4/9  MaskedInput    0xde17a1d0b4a1ed8",
            "last: 0.8 s, 3 members, 1 lost  accuracy 0.8861",
            "and 2 more",
            "     6  means                       15 min  FINISHED",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        let wide = super::lines(&seen(), Timestamp(1_000_000), 200).join("\n");
        assert!(wide.contains("8cbd2b (12 s left)"), "{wide}");
    }

    #[test]
    fn a_name_moves_no_cursor() {
        let lines = lines(&seen(), Timestamp(1_000_000), 80);
        assert!(
            lines.iter().all(|l| !l.contains(char::is_control)),
            "{lines:#?}"
        );
    }

    #[test]
    fn a_quiet_node_is_shown_too() {
        let quiet = Seen {
            node: "http://h:1".to_owned(),
            vitals: json!({"checks": {"disk": true}, "connector_away": null}),
            running: Vec::new(),
            more: 0,
            over: Vec::new(),
        };
        let text = lines(&quiet, Timestamp(0), 80).join("\n");
        assert!(
            text.contains("ready") && text.contains("connector there"),
            "{text}"
        );
        assert!(text.contains("no task"), "{text}");
    }
}
