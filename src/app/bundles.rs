//! Bundles that are open, within a bound, and the turns in which more are opened.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, OwnedMutexGuard, Semaphore, SemaphorePermit};

use delta_domain::bundle::Bundle;
use delta_domain::ids::{Address, Digest};
use delta_domain::time::Timestamp;
use delta_ports::executor::Whose;

/// Bytes of open bundles that are kept for the next round. Those that rounds use are there beside.
const KEPT_BYTES: usize = 128 << 20;

/// Owners of tasks that are remembered for what their tasks cost.
const OWNERS: usize = 1024;

/// A task that takes longer than this to be refused has cost too much.
pub(crate) const COSTLY: Duration = Duration::from_secs(5);

/// For how long an owner's tasks are declined unseen after that.
const BARRED: Duration = Duration::from_secs(600);

/// Requests to an owner's url that may fail before the next one must wait.
const KNOCKS: u32 = 12;

/// How long it waits; twice as long after each further failure, up to an hour.
const QUIET: Duration = Duration::from_secs(60);

/// Requests to one host by the urls of all owners who are not proven there, within [`QUIET`]: keys of owners cost nothing.
const HOST_KNOCKS: u32 = 48;

/// Bundles that are open, and whose turn it is to open one.
pub(crate) struct Bundles {
    /// The last used at the end.
    recent: Mutex<VecDeque<Arc<Bundle>>>,
    own: Semaphore,
    others: Semaphore,
    owners: Mutex<BTreeMap<Address, Owner>>,
    /// Since when requests to a host are counted, and how many there were.
    hosts: Mutex<BTreeMap<String, (Timestamp, u32)>>,
    submissions: AtomicU64,
}

/// What is remembered of one owner of tasks.
#[derive(Default)]
struct Owner {
    /// One of its tasks is judged at a time: an owner with many does not keep the others' waiting.
    turn: Arc<Turn<()>>,
    barred_until: Timestamp,
    /// Its url, once it has answered as a node does.
    proven: Option<String>,
    /// Requests to another url that failed in a row, and from when on the next one may be made.
    failures: u32,
    not_before: Timestamp,
}

impl Default for Bundles {
    fn default() -> Self {
        Self {
            recent: Mutex::default(),
            own: Semaphore::new(1),
            others: Semaphore::new(1),
            owners: Mutex::default(),
            hosts: Mutex::default(),
            submissions: AtomicU64::default(),
        }
    }
}

impl Bundles {
    /// An open bundle.
    pub(crate) fn get(&self, digest: &Digest) -> Option<Arc<Bundle>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let place = recent.iter().position(|b| b.commitment() == *digest)?;
        let bundle = recent.remove(place)?;
        recent.push_back(bundle.clone());
        Some(bundle)
    }

    /// Keeps a bundle while there is room; those that were not used for the longest time go.
    pub(crate) fn keep(&self, bundle: &Arc<Bundle>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|b| b.commitment() != bundle.commitment());
        recent.push_back(bundle.clone());
        let mut total: usize = recent.iter().map(|b| b.size()).sum();
        while total > KEPT_BYTES {
            let Some(oldest) = recent.pop_front() else {
                return;
            };
            total = total.saturating_sub(oldest.size());
        }
    }

    /// A number that no other submission since the start has.
    pub(crate) fn next_submission(&self) -> u64 {
        self.submissions.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits for a turn to hold a packed bundle in memory: one for this node's authors, one for everybody else.
    pub(crate) async fn turn(&self, whose: Whose) -> Option<SemaphorePermit<'_>> {
        let turns = match whose {
            Whose::Own => &self.own,
            Whose::Others => &self.others,
        };
        // Never closed.
        turns.acquire().await.ok()
    }

    /// Waits until no other task of this owner is being judged; `None` while the owner is barred.
    pub(crate) async fn judging(
        &self,
        owner: &Address,
        now: Timestamp,
    ) -> Option<OwnedMutexGuard<()>> {
        let turn = {
            let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
            if owners.len() >= OWNERS && !owners.contains_key(owner) {
                owners.retain(|_, o| {
                    o.barred_until.max(o.not_before) > now || Arc::strong_count(&o.turn) > 1
                });
            }
            let known = owners.entry(owner.clone()).or_default();
            if known.barred_until > now {
                return None;
            }
            known.turn.clone()
        };
        let turn = turn.lock_owned().await;
        // The one before it may have cost too much.
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let barred = owners.get(owner).is_some_and(|o| o.barred_until > now);
        (!barred).then_some(turn)
    }

    /// Whether this node may send a request to this owner's url now.
    ///
    /// Who is behind it is not known before it has answered as a node does: it may be somebody who has nothing to do with the network,
    /// at whom a task's record makes every node knock.
    pub(crate) fn may_ask(&self, owner: &Address, url: &str, now: Timestamp) -> bool {
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let rests = owners.get(owner).is_some_and(|o| o.not_before > now);
        drop(owners);
        self.is_proven(owner, url) || !rests && self.knocks_at(url, now) < HOST_KNOCKS
    }

    /// Requests to the host of this url lately, by owners who are not proven there.
    fn knocks_at(&self, url: &str, now: Timestamp) -> u32 {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = hosts
            .get(host(url))
            .filter(|(since, _)| now < *since + QUIET);
        recent.map_or(0, |(_, count)| *count)
    }

    fn count_knock(&self, url: &str, now: Timestamp) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= OWNERS {
            hosts.retain(|_, (since, _)| now < *since + QUIET);
        }
        if hosts.len() >= OWNERS && !hosts.contains_key(host(url)) {
            return;
        }
        let known = hosts.entry(host(url).to_owned()).or_insert((now, 0));
        if now >= known.0 + QUIET {
            *known = (now, 0);
        }
        known.1 = known.1.saturating_add(1);
    }

    /// Whether a node has answered there for this owner.
    pub(crate) fn is_proven(&self, owner: &Address, url: &str) -> bool {
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let known = owners.get(owner);
        known.is_some_and(|o| o.proven.as_deref() == Some(url))
    }

    /// How a request to this owner's url ended. No is no answer: any server on the Internet says it.
    pub(crate) fn asked(&self, owner: &Address, url: &str, answered: bool, now: Timestamp) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let known = owners.entry(owner.clone()).or_default();
        if answered {
            known.proven = Some(url.to_owned());
            (known.failures, known.not_before) = (0, Timestamp(0));
            return;
        }
        if known.proven.as_deref() == Some(url) {
            return;
        }
        self.count_knock(url, now);
        known.failures = known.failures.saturating_add(1);
        if known.failures >= KNOCKS {
            let doublings = known.failures.saturating_sub(KNOCKS).min(6);
            known.not_before = now + QUIET.saturating_mul(1 << doublings);
        }
    }

    /// A task of this owner cost much and was refused: the next ones are declined unseen for a while.
    pub(crate) fn bar(&self, owner: &Address, now: Timestamp) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.entry(owner.clone()).or_default().barred_until = now + BARRED;
    }
}

/// `HOST:PORT` of a url.
fn host(url: &str) -> &str {
    let behind = url.split_once("://").map_or(url, |(_, rest)| rest);
    behind.split('/').next().unwrap_or(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(n: usize) -> Address {
        format!("0x{n:040x}").parse().unwrap()
    }

    #[tokio::test]
    async fn one_owners_tasks_are_judged_one_at_a_time_and_anothers_meanwhile() {
        let bundles = Bundles::default();
        let now = Timestamp(1000);
        let (one, two) = (owner(1), owner(2));
        let held = bundles.judging(&one, now).await.unwrap();
        let again = bundles.judging(&one, now);
        let other = bundles.judging(&two, now);
        tokio::select! {
            biased;
            _ = again => panic!("two at a time"),
            other = other => assert!(other.is_some()),
        }
        drop(held);
        assert!(bundles.judging(&owner(1), now).await.is_some());
    }

    #[tokio::test]
    async fn an_owner_whose_task_cost_too_much_is_barred_for_a_while() {
        let bundles = Bundles::default();
        let now = Timestamp(1000);
        bundles.bar(&owner(1), now);
        assert!(bundles.judging(&owner(1), now).await.is_none());
        assert!(bundles.judging(&owner(2), now).await.is_some());
        assert!(bundles.judging(&owner(1), now + BARRED).await.is_some());
    }

    #[test]
    fn a_url_that_does_not_answer_is_knocked_at_a_few_times_whatever_is_created() {
        let bundles = Bundles::default();
        let mut now = Timestamp(1000);
        let mut knocks = 0;
        // A thousand tasks, one each second.
        for _ in 0..1000 {
            if bundles.may_ask(&owner(1), "http://a", now) {
                bundles.asked(&owner(1), "http://a", false, now);
                knocks += 1;
            }
            now = now + Duration::from_secs(1);
        }
        assert!((12..=17).contains(&knocks), "{knocks}");
        assert!(bundles.may_ask(&owner(2), "http://a", now));
        bundles.asked(&owner(1), "http://b", true, now);
        // A node that is restarted is not left alone, and what it was is not what it says to be next.
        for _ in 0..100 {
            bundles.asked(&owner(1), "http://b", false, now);
        }
        assert!(bundles.may_ask(&owner(1), "http://b", now));
        for _ in 0..100 {
            bundles.asked(&owner(1), "http://c", false, now);
        }
        assert!(!bundles.may_ask(&owner(1), "http://c", now));
    }

    #[test]
    fn a_hundred_owners_do_not_knock_at_one_host_more_than_a_few() {
        let bundles = Bundles::default();
        let now = Timestamp(1000);
        let mut knocks = 0;
        for n in 0..100 {
            let url = format!("http://third.party:80/{n}");
            for _ in 0..20 {
                if bundles.may_ask(&owner(n), &url, now) {
                    bundles.asked(&owner(n), &url, false, now);
                    knocks += 1;
                }
            }
        }
        assert_eq!(knocks, HOST_KNOCKS);
        // Who is proven there is not kept out by them, nor is anybody at another host, nor later.
        bundles.asked(&owner(7), "http://third.party:80/7", true, now);
        assert!(bundles.may_ask(&owner(7), "http://third.party:80/7", now));
        assert!(bundles.may_ask(&owner(200), "http://other.party", now));
        assert!(bundles.may_ask(&owner(200), "http://third.party:80", now + QUIET));
    }

    #[tokio::test]
    async fn ten_thousand_owners_are_not_remembered() {
        let bundles = Bundles::default();
        for n in 0..10_000 {
            drop(bundles.judging(&owner(n), Timestamp(1)).await);
        }
        assert!(bundles.owners.lock().unwrap().len() <= OWNERS);
    }
}
