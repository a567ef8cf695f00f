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
    let tried = async {
        let mut tries = 1;
        loop {
            match (attack.run)(field).await {
                Ok(outcome) => break outcome,
                // The honest members may have been faster, and the round over before it could be attacked.
                Err(_) if tries < TRIES => tries += 1,
                // An attack that cannot be judged is no proof of anything.
                Err(e) => break Outcome::new(false, format!("could not be judged: {e:#}")),
            }
        }
    };
    let (mut outcome, aftermath) = match tokio::time::timeout(AT_MOST, tried).await {
        Ok(outcome) => {
            let looked = tokio::time::timeout(AT_MOST, field.aftermath()).await;
            let looked = looked.unwrap_or_else(|_| bail_late());
            (outcome, looked)
        }
        Err(_) => (
            Outcome::new(false, format!("nothing within {AT_MOST:?}")),
            field.aftermath().await,
        ),
    };
    let afterwards = match aftermath {
        Ok(()) => "unharmed: every node answers, an honest task ends right".to_owned(),
        Err(e) => {
            outcome.repelled = false;
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
        seconds: begun.elapsed().as_secs_f64(),
    }
}

fn bail_late() -> anyhow::Result<()> {
    bail!("the honest task did not end within {AT_MOST:?}")
}
