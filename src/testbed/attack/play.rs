//! Attacks in their order: each is tried, judged, and followed by a look at what it left behind.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::case::{Attack, Outcome};
use super::report::{Finding, Report};
use super::target::Targets;

/// The longest that one attack may take, its aftermath included.
const AT_MOST: Duration = Duration::from_secs(75);
/// How often an attack is played that could not be judged.
const TRIES: u32 = 3;

/// Plays the attacks one after the other, and says what came of each.
pub(super) async fn play(
    field: &Targets,
    attacks: &[Attack],
    place: String,
    tell: fn(&str),
) -> Report {
    let begun = Instant::now();
    let mut findings = Vec::new();
    for attack in attacks {
        let finding = one(field, attack).await;
        tell(&finding.line());
        findings.push(finding);
    }
    Report::new(place, begun.elapsed(), findings)
}

/// One attack and its aftermath.
async fn one(field: &Targets, attack: &Attack) -> Finding {
    let begun = Instant::now();
    let mut open = attack.open;
    let mut tries = 1;
    let tried = async {
        loop {
            match (attack.run)(field).await {
                Ok(outcome) => break Ok(outcome),
                // A machine that is busy may be too slow for one of the attack's own deadlines.
                Err(e) if tries < TRIES => {
                    tracing::warn!("{} is played again: {e:#}", attack.name);
                    tries += 1;
                }
                Err(e) => break Err(e),
            }
        }
    };
    let mut outcome = match tokio::time::timeout(AT_MOST, tried).await {
        Ok(Ok(outcome)) => outcome,
        // An attack that cannot be judged is no proof of anything, and none of what is known either.
        failed => {
            open = None;
            let why = match failed {
                Ok(Err(e)) => format!("could not be judged: {e:#}"),
                _ => format!("nothing within {AT_MOST:?}"),
            };
            Outcome::new(false, why)
        }
    };
    let aftermath = tokio::time::timeout(AT_MOST, field.aftermath()).await;
    let aftermath = aftermath.unwrap_or_else(|_| bail_late());
    let afterwards = match aftermath {
        Ok(()) => "unharmed: every node answers, an honest task ends right".to_owned(),
        Err(e) => {
            (outcome.repelled, open) = (false, None);
            format!("harmed: {e:#}")
        }
    };
    Finding {
        name: attack.name,
        by: attack.by,
        tried: attack.tried,
        answered: outcome.answered,
        afterwards,
        repelled: outcome.repelled,
        open: open.filter(|_| !outcome.repelled),
        tries,
        seconds: begun.elapsed().as_secs_f64(),
    }
}

fn bail_late() -> anyhow::Result<()> {
    bail!("the honest task did not end within {AT_MOST:?}")
}
