//! Floods through the connector's port, by strangers: names, nodes, tasks, subscriptions. An honest task beside each must end right, soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::future::join_all;

use super::urls::Canary;
use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::target::Targets;
use crate::testbed::attack::{bundles, http};
use delta_domain::connector_record::RecordEvent;
use delta_domain::ids::{Address, Digest, RoundNumber, TaskId};
use delta_domain::task::TaskKind;
use delta_ports::connector::{Connector, NewTask, RoundKey};

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "stranger", true;
    "flood-long-texts", "nodes that join with urls and names of megabytes" => long_texts;
    "flood-ghosts", "forty nodes that join and that nobody runs, before a task" => ghosts;
    "flood-tasks", "three hundred tasks that nobody serves" => tasks;
    "flood-subscriptions", "1,100 subscriptions of one client" => subscriptions;
    "task-url-elsewhere", "a task whose url on record is not its coordinator's: a third party's" => elsewhere;
    "task-knocks", "120 tasks of six coordinators whose registered urls are a third party's" => knocks;
};

/// How long an honest task of one round may take beside a flood.
const SOON: Duration = Duration::from_secs(15);

/// An honest task of everybody: how long it took.
pub(super) async fn honest_beside(field: &Targets) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let members = u32::try_from(field.targets.len())?;
    let id = field.submit(&bundles::honest(members, 1)?).await?;
    field
        .ends_right(id, 1)
        .await
        .context("the honest task beside it")?;
    Ok(begun.elapsed())
}

/// The verdict on a flood that was refused, or not, beside an honest task.
pub(super) fn beside(held: bool, story: &str, took: Duration) -> Outcome {
    let answered = format!(
        "{story}; the honest task ended right in {:.1} s",
        took.as_secs_f64()
    );
    Outcome::new(held && took < SOON, answered)
}

async fn long_texts(field: &Targets) -> anyhow::Result<Outcome> {
    let connector = field.newcomer()?;
    let long = "x".repeat(3_900_000);
    let mut taken = 0;
    for (url, name) in [
        (format!("http://{long}.test:6700"), "a".to_owned()),
        ("http://127.0.0.1:9".to_owned(), long.clone()),
        (
            format!("http://127.0.0.1:9/{}", &long[..2000]),
            "a".to_owned(),
        ),
    ] {
        if let Ok(joined) = connector.join(&url, &name).await {
            taken += 1;
            drop(connector.leave(&joined.address).await);
        }
    }
    let took = honest_beside(field).await?;
    let reply = http::send(
        &field.coordinator().url,
        "GET",
        "/v1/nodes?page=1&page_size=50",
        "",
        b"",
    )
    .await?;
    let story = format!(
        "{taken} of 3 were let in, /v1/nodes answers {}",
        reply.status
    );
    Ok(beside(taken == 0 && reply.status == 200, &story, took))
}

async fn ghosts(field: &Targets) -> anyhow::Result<Outcome> {
    const GHOSTS: usize = 40;
    let mut ghosts: Vec<(Arc<dyn Connector>, Address)> = Vec::new();
    for number in 0..GHOSTS {
        let connector = field.newcomer()?;
        let url = format!("http://ghost-{number}.test:6700");
        let joined = connector.join(&url, "ghost").await?;
        ghosts.push((connector, joined.address));
    }
    let took = honest_beside(field).await;
    for (connector, address) in &ghosts {
        drop(connector.leave(address).await);
    }
    Ok(beside(
        true,
        &format!("{GHOSTS} ghosts were on record"),
        took?,
    ))
}

fn nobodys(owner: &Address, number: u32) -> NewTask {
    NewTask {
        owner: owner.clone(),
        dataset: String::new(),
        commitment: Digest::of(&number.to_le_bytes()),
        kind: TaskKind::Horizontal,
        enable_verify: false,
        tolerance: 0,
    }
}

async fn tasks(field: &Targets) -> anyhow::Result<Outcome> {
    const TASKS: u32 = 300;
    let connector = field.newcomer()?;
    let owner = connector
        .join("http://127.0.0.1:9", "attacker")
        .await?
        .address;
    let mut created: Vec<TaskId> = Vec::new();
    for some in (0..TASKS).collect::<Vec<_>>().chunks(50) {
        let new: Vec<NewTask> = some.iter().map(|number| nobodys(&owner, *number)).collect();
        let answers = join_all(new.iter().map(|task| connector.create_task(task))).await;
        created.extend(answers.into_iter().flatten().map(|c| c.task));
    }
    let took = honest_beside(field).await;
    for some in created.chunks(50) {
        let ends = some
            .iter()
            .map(|task| connector.finish_task(TaskKind::Horizontal, &owner, task));
        drop(join_all(ends).await);
    }
    drop(connector.leave(&owner).await);
    Ok(beside(
        true,
        &format!("{} tasks were on record", created.len()),
        took?,
    ))
}

async fn subscriptions(field: &Targets) -> anyhow::Result<Outcome> {
    const WANTED: usize = 1100;
    let connector = field.newcomer()?;
    let mut open = Vec::new();
    for number in 0..WANTED {
        let listener: Address = format!("0x{number:040x}").parse()?;
        if let Ok(stream) = connector.subscribe(&listener).await {
            open.push(stream);
        }
    }
    let took = honest_beside(field).await?;
    let story = format!("{} of {WANTED} were opened", open.len());
    Ok(beside(open.len() <= 128, &story, took))
}

/// The connector's own lie, shown to every node: only it can put another url into a task.
async fn elsewhere(field: &Targets) -> anyhow::Result<Outcome> {
    let canary = Canary::listen("127.0.0.1", super::urls::SECRET.into()).await?;
    let changed = Arc::new(AtomicUsize::new(0));
    for node in 0..field.targets.len() {
        let (url, changed) = (canary.url().to_owned(), changed.clone());
        field.rogue(node)?.events(move |mut event| {
            if let RecordEvent::TaskCreated { url: theirs, .. } = &mut event {
                theirs.clone_from(&url);
                changed.fetch_add(1, Ordering::SeqCst);
            }
            vec![event]
        });
    }
    let connector = field.newcomer()?;
    let owner = connector
        .join("http://127.0.0.1:9", "attacker")
        .await?
        .address;
    let task = connector.create_task(&nobodys(&owner, 1)).await?.task;
    let key = RoundKey {
        kind: TaskKind::Horizontal,
        task: task.clone(),
        round: RoundNumber(1),
    };
    connector.start_round(&owner, &key, None).await?;
    let reasons = refusals(field, &task).await;
    drop(
        connector
            .finish_task(TaskKind::Horizontal, &owner, &task)
            .await,
    );
    drop(connector.leave(&owner).await);
    let (visits, changed) = (canary.visits(), changed.load(Ordering::SeqCst));
    let answered = format!("{visits} connections; {}", reasons?);
    Ok(Outcome::new(visits == 0 && changed > 0, answered))
}

/// Why all nodes declined a task, once they have.
async fn refusals(field: &Targets, task: &TaskId) -> anyhow::Result<String> {
    let mut reasons = crate::testbed::attack::target::until("all nodes to decline", || async {
        let reasons = field.log.refusals(task);
        (reasons.len() >= field.targets.len()).then_some(reasons)
    })
    .await?;
    reasons.sort_unstable();
    reasons.dedup();
    Ok(reasons.join("; "))
}

/// A service on an address that nodes may call; it answers nothing that a node would. Every owner has a key and a path of its own.
async fn knocks(field: &Targets) -> anyhow::Result<Outcome> {
    const OWNERS: u32 = 6;
    const TASKS: u32 = 20;
    // What one node sends to one host in a minute, and what was under way.
    let enough = 60 * field.targets.len();
    let canary = Canary::listen("127.0.0.1", super::urls::SECRET.into()).await?;
    let mut created = Vec::new();
    for number in 0..OWNERS {
        let connector = field.newcomer()?;
        let url = format!("{}/{number}", canary.url());
        let owner = connector.join(&url, "attacker").await?.address;
        for number in 0..TASKS {
            let task = connector.create_task(&nobodys(&owner, number)).await?.task;
            let key = RoundKey {
                kind: TaskKind::Horizontal,
                task: task.clone(),
                round: RoundNumber(1),
            };
            connector.start_round(&owner, &key, None).await?;
            created.push((connector.clone(), owner.clone(), task));
        }
    }
    let took = honest_beside(field).await;
    for (connector, owner, task) in &created {
        drop(
            connector
                .finish_task(TaskKind::Horizontal, owner, task)
                .await,
        );
    }
    for (connector, owner, _) in &created {
        drop(connector.leave(owner).await);
    }
    let visits = canary.visits();
    let story = format!(
        "{} tasks made {visits} connections to a third party",
        OWNERS * TASKS
    );
    Ok(beside(visits <= enough, &story, took?))
}
