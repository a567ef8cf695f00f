//! Staying in touch with the connector: registration every minute, events without end.
//!
//! The connection may break a thousand times; each time the node subscribes again, with growing pauses, and treats what happened in
//! between as lost: whoever follows a task reads its state again.

mod registration;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;

use super::backoff::Backoff;
use super::context::Context;
use super::identities::AtOwnUrl;
use super::runner::Runner;
use delta_domain::identity::{is_key_address, same_address};
use delta_domain::ids::Address;
use delta_ports::connector::NodeRecord;
use delta_ports::{ChainTrouble, report};
use registration::{Registration, until_due};

/// Name of the setting that keeps this node's address over restarts.
pub(crate) const ADDRESS_SETTING: &str = "address";

/// By how much a clock must be set to be spoken of, in milliseconds: more than time servers correct.
const CLOCK_STEP: u64 = 5_000;

/// How long an answer from this node's own url is waited for.
const OWN_URL: Duration = Duration::from_secs(1);

/// A registration that was good for so long is no reason to wait before the next.
const LASTED: Duration = Duration::from_secs(10);

/// Registers this node and renews the registration for ever.
pub(crate) async fn stay_registered(context: Arc<Context>) {
    let (mut backoff, mut again) = (Backoff::CONTACT, Backoff::CONTACT);
    let mut steps = Backoff::STEPS;
    let mut registration = Registration::default();
    let mut registered: Option<Address> = None;
    let mut troubled = false;
    let mut joined_at = context.ports.clock.now();
    let mut due = true;
    let mut set_by = 0;
    loop {
        notice_clock(&context, &mut set_by);
        if std::mem::take(&mut due) && look_at_own_url(&context).await && registered.is_none() {
            due = true;
            context.ports.clock.sleep(backoff.pause()).await;
            continue;
        }
        // Before the registration, which may put the url right by itself.
        if let Some(address) = &registered
            && let Err(e) = context.identities.hold_url(address).await
        {
            tracing::debug!(
                "this node's url on record was not looked at: {}",
                report(&e)
            );
        }
        let known = registered
            .clone()
            .or_else(|| context.address.borrow().clone());
        match registration.renew(&context, known.as_ref()).await {
            Ok(address) if !may_be_own(&context, &address) => {
                let pause = backoff.pause();
                tracing::error!(
                    %address,
                    "the connector gives this node an address that is the hash of another node's key; it is not taken, next try in {pause:?}"
                );
                context.ports.clock.sleep(pause).await;
            }
            Ok(address) => {
                backoff.reset();
                steps.reset();
                let now = context.ports.clock.now();
                if now - std::mem::replace(&mut joined_at, now) >= LASTED {
                    again.reset();
                }
                // First: who knows its address may join rounds, whose members want to know who it is.
                let first = registered.is_none();
                if first {
                    present(&context, &address).await;
                }
                announce(&context, address.clone()).await;
                registered = Some(address.clone());
                let clock = &context.ports.clock;
                context.contact.known(clock.now());
                troubled = false;
                tokio::select! {
                    () = until_due(&context, &registration, now) => due = true,
                    // Where calls wait this may take longer than the registration lasts.
                    () = present_again(&context, &address, first) => {}
                    // A round has found out that the connector does not answer, or takes this node for dead.
                    () = context.contact.forgotten() => clock.sleep(again.pause()).await,
                }
            }
            Err(e) => {
                let now = context.ports.clock.now();
                context.contact.lost(now);
                // Once: it may last for hours.
                if !std::mem::replace(&mut troubled, true) {
                    tracing::warn!(
                        "this node cannot register with the connector, and tries again until it can: {}",
                        report(&e)
                    );
                }
                // A connector that has lost its chain breaks under many questions.
                let pauses = match e.trouble() {
                    Some(ChainTrouble::LinkDown) => &mut steps,
                    _ => &mut backoff,
                };
                context.ports.clock.sleep(pauses.pause()).await;
            }
        }
    }
}

/// Says that the machine's clock was set, once for each time.
fn notice_clock(context: &Context, known: &mut i64) {
    let now = context.ports.clock.was_set_by();
    if (now - *known).unsigned_abs() < CLOCK_STEP {
        return;
    }
    *known = now;
    tracing::warn!(
        "this machine's clock was set, or it slept: it is {} s {} this node's, which keeps the time it had at its start, so that deadlines hold; dates of journal, approvals and cards are right again after a restart",
        now.unsigned_abs() / 1000,
        if now < 0 { "behind" } else { "ahead of" }
    );
}

/// Looks who answers at this node's url, and says so once where it is another node. Whoever is not registered yet does not register
/// then: on a record that knows nodes by their urls it would take the other's place.
async fn look_at_own_url(context: &Context) -> bool {
    let url = &context.settings.url;
    let found = tokio::select! {
        found = context.identities.at_own_url() => found,
        () = context.ports.clock.sleep(OWN_URL) => return context.home.is_elsewhere(),
    };
    let elsewhere = match found {
        AtOwnUrl::This => None,
        AtOwnUrl::Another(fingerprint) => Some(format!(
            "node.url {url} leads to another node, whose fingerprint is {fingerprint}: two nodes have one url, or it is wrong in one of them"
        )),
        // Before the API listens nobody answers, and not everybody can reach himself from outside.
        AtOwnUrl::Nobody(e) => {
            tracing::debug!("nobody answers at this node's own url: {}", report(&e));
            return context.home.is_elsewhere();
        }
    };
    context.home.leads_elsewhere(elsewhere)
}

/// Whether this node may have the address: one that is the hash of a key belongs to whoever has that key, and to nobody else.
fn may_be_own(context: &Context, address: &Address) -> bool {
    let own = context.ports.node_key.fingerprint().address();
    !is_key_address(address.as_str()) || same_address(&own, address)
}

/// Whatever fails here is tried again with the next registration.
async fn present(context: &Context, address: &Address) {
    if let Err(e) = context.identities.publish(address).await {
        tracing::warn!(
            "this node's identity card is not on the connector's record, another try follows: {}",
            report(&e)
        );
    }
}

/// As [`present`], unless that has been done; never comes back.
async fn present_again(context: &Context, address: &Address, done: bool) {
    if !done {
        present(context, address).await;
    }
    std::future::pending().await
}

/// Learns who the other nodes are, some at a time, so that rounds find it known.
pub(crate) async fn know_the_others(context: Arc<Context>) {
    const A_TIME: u32 = 64;
    if context.own_address().await.is_err() {
        return;
    }
    let mut page = 1;
    let mut twins = BTreeSet::new();
    loop {
        match context.ports.connector.nodes(page, A_TIME).await {
            Ok(found) => {
                notice_twins(&context, &found.nodes, &mut twins);
                let pages = found.total.div_ceil(u64::from(A_TIME)).max(1);
                page = if u64::from(page) >= pages {
                    1
                } else {
                    page + 1
                };
                let addresses = found.nodes.into_iter().map(|node| node.address).collect();
                context.identities.prepare(addresses).await;
            }
            Err(e) => tracing::debug!("the other nodes are not known now: {}", report(&e)),
        }
        context.ports.clock.sleep(context.settings.rejoin).await;
    }
}

/// Says which other nodes are on record with this node's url, once for each.
fn notice_twins(context: &Context, nodes: &[NodeRecord], said: &mut BTreeSet<Address>) {
    let url = context.settings.url.trim_end_matches('/');
    let Some(own) = context.address.borrow().clone() else {
        return;
    };
    for node in nodes {
        let twin = node.url.trim_end_matches('/') == url && !same_address(&own, &node.address);
        if twin && said.insert(node.address.clone()) {
            tracing::error!(
                address = %node.address, name = node.name,
                "another node is on the connector's record with this node's url {url}: two nodes have one url, or it is wrong in one of them"
            );
        }
    }
}

async fn announce(context: &Context, address: Address) {
    let known = context.address.borrow().clone();
    if known.as_ref() == Some(&address) {
        return;
    }
    match known {
        None => tracing::info!(%address, "this node is registered with the connector"),
        Some(before) => {
            tracing::warn!(%address, %before, "the connector knows this node under another address now")
        }
    }
    if let Err(e) = context
        .ports
        .storage
        .set_setting(ADDRESS_SETTING, address.as_str().as_bytes())
        .await
    {
        tracing::warn!("the address could not be kept: {}", report(&e));
    }
    context.address.send_replace(Some(address));
}

/// Hears the network's events for ever and passes them on.
pub(crate) async fn follow_events(context: Arc<Context>, runner: Arc<Runner>) {
    let Ok(address) = context.own_address().await else {
        return;
    };
    let mut backoff = Backoff::CONTACT;
    let (mut first, mut troubled) = (true, false);
    loop {
        match context.ports.connector.subscribe(&address).await {
            Err(e) if !troubled => {
                troubled = true;
                tracing::warn!(
                    "no subscription to the connector, tried again until there is one: {}",
                    report(&e)
                );
            }
            Err(_) => {}
            Ok(mut events) => {
                match context.contact.away() {
                    Some(since) if !first => tracing::info!(
                        "subscribed to the connector again after {} s; reading again what may have been missed",
                        (context.ports.clock.now() - since).as_secs()
                    ),
                    _ => {}
                }
                (first, troubled) = (false, false);
                context.contact.heard(context.ports.clock.now(), true);
                runner.gap();
                loop {
                    match events.next().await {
                        Some(Ok(event)) => {
                            backoff.reset();
                            context.announced.hear(&event, &address);
                            runner.hear(event);
                        }
                        Some(Err(e)) => {
                            tracing::warn!(
                                "the subscription to the connector broke: {}",
                                report(&e)
                            );
                            break;
                        }
                        None => {
                            tracing::warn!("the connector ended the subscription");
                            break;
                        }
                    }
                }
                context.contact.heard(context.ports.clock.now(), false);
            }
        }
        context.ports.clock.sleep(backoff.pause()).await;
    }
}
