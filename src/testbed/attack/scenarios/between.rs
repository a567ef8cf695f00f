//! Somebody between the nodes who changes one field after the other of what they send each other, over plain HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::middle::{Message, Way};
use crate::testbed::attack::scenarios::connectors::under_lies;
use crate::testbed::attack::target::Targets;
use delta_domain::connector_record::RecordEvent;

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "somebody between", true;
    "between-bundle", "a byte of the bundle" => bundle;
    "between-announcement", "what the round computes: task, round, step, variables" => announcement;
    "between-lists", "u1, u2 and u3 as the coordinator tells them" => lists;
    "between-end", "how the round ended" => end;
    "between-model", "a byte of a server variable" => model;
    "between-shares-posted", "a byte of what a member seals" => shares_posted;
    "between-shares-fetched", "a byte of what was sealed for a member" => shares_fetched;
    "between-result", "a byte of a masked result" => result;
    "between-confirmation", "statement and tags of a confirmation" => confirmation;
    "between-confirmations", "a byte of the confirmations" => confirmations;
    "between-notices", "who has joined, declined or revealed" => notices;
    "between-signature", "the signature of every request" => signature;
    "between-view", "what the sender of a request says that it sees" => view;
};

const ROUND: &str = "GET /v1/coord/round";

/// A task while every message passes `lie`, which answers whether it changed something. Right numbers or none; and it must have had something to change.
async fn under(
    field: &Targets,
    lie: impl Fn(&mut Message) -> bool + Send + Sync + 'static,
) -> anyhow::Result<Outcome> {
    let changed = Arc::new(AtomicUsize::new(0));
    let lie = Arc::new(lie);
    for target in &field.targets {
        let (changed, lie) = (changed.clone(), lie.clone());
        if let Some(middle) = &target.middle {
            middle.changes(move |message| {
                if lie(message) {
                    changed.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    }
    let after = under_lies(field, 1).await;
    field.calm();
    let (after, times) = (after?, changed.load(Ordering::SeqCst));
    anyhow::ensure!(times > 0, "nothing of this kind passed");
    Ok(Outcome::new(
        !after.wrong,
        format!("{times} messages changed; {}", after.story),
    ))
}

/// Flips a bit in the middle of the body.
fn flip(message: &mut Message) -> bool {
    let at = message.body.len() / 2;
    match message.body.get_mut(at) {
        Some(byte) => {
            *byte ^= 1;
            true
        }
        None => false,
    }
}

fn is(message: &Message, way: Way, call: &str) -> bool {
    message.way == way && message.call == call
}

/// Changes a JSON body in place, if it is one.
fn json(message: &mut Message, change: impl Fn(&mut Value) -> bool) -> bool {
    let Ok(mut value) = serde_json::from_slice(&message.body) else {
        return false;
    };
    let changed = change(&mut value);
    if changed {
        message.body = value.to_string().into_bytes();
    }
    changed
}

/// Another value of the same form.
fn other(value: &mut Value) -> bool {
    match value {
        Value::Number(n) => {
            *value = (n.as_u64().unwrap_or(0) + 1).into();
            true
        }
        Value::String(text) => match text.pop() {
            Some(last) => {
                text.push(if last == '7' { '8' } else { '7' });
                true
            }
            None => false,
        },
        Value::Array(list) => list.pop().is_some(),
        Value::Object(fields) => fields.values_mut().map(other).fold(false, |a, b| a | b),
        Value::Null | Value::Bool(_) => false,
    }
}

async fn bundle(field: &Targets) -> anyhow::Result<Outcome> {
    under(field, |m| {
        is(m, Way::Answered, "GET /v1/coord/config") && flip(m)
    })
    .await
}

async fn announcement(field: &Targets) -> anyhow::Result<Outcome> {
    let mut stories = Vec::new();
    let mut repelled = true;
    for name in ["task", "round", "step", "variables"] {
        let outcome = under(field, move |m| {
            is(m, Way::Answered, ROUND)
                && json(m, |body| {
                    body.pointer_mut(&format!("/announcement/{name}"))
                        .is_some_and(other)
                })
        })
        .await?;
        repelled &= outcome.repelled;
        stories.push(format!("{name}: {}", outcome.answered));
    }
    Ok(Outcome::new(repelled, stories.join("; ")))
}

async fn lists(field: &Targets) -> anyhow::Result<Outcome> {
    // Members ask their coordinator where the round stands when they hear no events of it.
    for node in 0..field.targets.len() {
        field.rogue(node)?.events(|event| match event {
            RecordEvent::PartnerSelected { .. }
            | RecordEvent::CalculationStarted { .. }
            | RecordEvent::AggregationStarted { .. } => Vec::new(),
            other => vec![other],
        });
    }
    under(field, |m| {
        is(m, Way::Answered, ROUND)
            && json(m, |body| {
                let change = |name| body.get_mut(name).is_some_and(other);
                ["u1", "u2", "u3"].map(change).contains(&true)
            })
    })
    .await
}

async fn end(field: &Targets) -> anyhow::Result<Outcome> {
    under(field, |m| {
        is(m, Way::Answered, ROUND)
            && json(m, |body| {
                if let Some(fields) = body.as_object_mut() {
                    fields.insert("ended".into(), "finished".into());
                    return true;
                }
                false
            })
    })
    .await
}

async fn model(field: &Targets) -> anyhow::Result<Outcome> {
    under(field, |m| {
        is(m, Way::Answered, "GET /v1/coord/context") && flip(m)
    })
    .await
}

async fn shares_posted(field: &Targets) -> anyhow::Result<Outcome> {
    under(field, |m| {
        is(m, Way::Asked, "POST /v1/coord/secret_shares") && flip(m)
    })
    .await
}

async fn shares_fetched(field: &Targets) -> anyhow::Result<Outcome> {
    under(field, |m| {
        is(m, Way::Answered, "GET /v1/coord/secret_shares") && flip(m)
    })
    .await
}

async fn result(field: &Targets) -> anyhow::Result<Outcome> {
    under(field, |m| {
        is(m, Way::Asked, "POST /v1/coord/result") && flip(m)
    })
    .await
}

async fn confirmation(field: &Targets) -> anyhow::Result<Outcome> {
    const CONFIRM: &str = "POST /v1/coord/confirm";
    let statement = under(field, |m| m.call == CONFIRM && header(m, "x-delta-digest")).await?;
    let tags = under(field, |m| is(m, Way::Asked, CONFIRM) && flip(m)).await?;
    Ok(Outcome::new(
        statement.repelled && tags.repelled,
        format!("statement: {}; tags: {}", statement.answered, tags.answered),
    ))
}

async fn confirmations(field: &Targets) -> anyhow::Result<Outcome> {
    under(field, |m| {
        is(m, Way::Answered, "GET /v1/coord/confirmations") && flip(m)
    })
    .await
}

async fn notices(field: &Targets) -> anyhow::Result<Outcome> {
    under(field, |m| {
        let notice = ["joined", "decline", "revealed"]
            .iter()
            .any(|name| m.call == format!("POST /v1/coord/{name}"));
        notice && m.way == Way::Asked && json(m, |body| body.get_mut("address").is_some_and(other))
    })
    .await
}

/// Changes the last digit of a header of every request.
fn header(message: &mut Message, name: &str) -> bool {
    if message.way != Way::Asked {
        return false;
    }
    let mut changed = false;
    let mut lines = String::new();
    for line in message.headers.split_inclusive("\r\n") {
        let its = line.to_ascii_lowercase().starts_with(&format!("{name}:"));
        let line = line.trim_end();
        match line.char_indices().next_back() {
            Some((at, last)) if its => {
                lines.push_str(&line[..at]);
                lines.push(if last == '7' { '8' } else { '7' });
                changed = true;
            }
            _ => lines.push_str(line),
        }
        lines.push_str("\r\n");
    }
    message.headers = lines;
    changed
}

async fn signature(field: &Targets) -> anyhow::Result<Outcome> {
    under(field, |m| header(m, "x-delta-signature")).await
}

async fn view(field: &Targets) -> anyhow::Result<Outcome> {
    under(field, |m| header(m, "x-delta-view")).await
}
