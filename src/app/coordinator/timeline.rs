//! Where the time of a round goes, as its coordinator sees it: for people, so nothing hangs on it, and a restart begins anew.

use delta_domain::ids::Address;
use delta_domain::time::Timestamp;
use delta_ports::author_api::PhaseSpan;

/// Members that are named, of those that a phase waited for last.
const NAMED: usize = 3;

/// The phases of a round so far.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    over: Vec<PhaseSpan>,
    now: Option<Open>,
}

#[derive(Debug)]
struct Open {
    phase: String,
    since: Timestamp,
    last: Vec<Address>,
}

impl Timeline {
    /// The round is in this phase now, and waits for these. Told as often as either changes.
    pub(super) fn is_in<'a>(
        &mut self,
        phase: &str,
        waits_for: impl IntoIterator<Item = &'a Address>,
        now: Timestamp,
    ) {
        if self.now.as_ref().is_none_or(|open| open.phase != phase) {
            self.close(now);
            self.now = Some(Open {
                phase: phase.to_owned(),
                since: now,
                last: Vec::new(),
            });
        }
        let missing: Vec<Address> = waits_for.into_iter().take(NAMED).cloned().collect();
        if let Some(open) = &mut self.now
            && !missing.is_empty()
        {
            open.last = missing;
        }
    }

    /// The phases that are over.
    pub(super) fn over(&self) -> &[PhaseSpan] {
        &self.over
    }

    /// When the phase of now began.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.now.as_ref().map(|open| open.since)
    }

    /// The round is over: all its phases. The next one begins anew.
    pub(super) fn end(&mut self, now: Timestamp) -> Vec<PhaseSpan> {
        self.close(now);
        std::mem::take(&mut self.over)
    }

    fn close(&mut self, now: Timestamp) {
        if let Some(open) = self.now.take() {
            self.over.push(PhaseSpan {
                phase: open.phase,
                seconds: (now - open.since).as_secs_f64(),
                last: open.last,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_each_other_and_name_who_came_last() {
        let node = |n: u8| -> Address {
            format!("0x{}", format!("{n:02x}").repeat(20))
                .parse()
                .unwrap()
        };
        let (one, two) = (node(1), node(2));
        let mut line = Timeline::default();
        line.is_in("AdvertiseKeys", [&one, &two], Timestamp(1000));
        line.is_in("AdvertiseKeys", [&two], Timestamp(1200));
        line.is_in("AdvertiseKeys", [], Timestamp(1400));
        line.is_in("MaskedInput", [&one], Timestamp(1500));
        assert_eq!(line.since(), Some(Timestamp(1500)));
        assert_eq!((line.over().len(), &line.over()[0].last), (1, &vec![two]));
        let all = line.end(Timestamp(3500));
        let told: Vec<_> = all.iter().map(|s| (s.phase.as_str(), s.seconds)).collect();
        assert_eq!(told, [("AdvertiseKeys", 0.5), ("MaskedInput", 2.0)]);
        assert!(line.end(Timestamp(4000)).is_empty());
    }
}
