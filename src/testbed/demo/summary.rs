//! What the demonstration ends with: numbers, a picture, a verdict.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::plot::{self, RoundPoint};

/// The picture, beside the result.
pub(super) const PICTURE: &str = "training.svg";

/// What to try next.
const NEXT: [&str; 4] = [
    "try next",
    "  delta-node demo --privacy        what owners of data allow, and what noise costs",
    "  delta-node demo --keep --open    three nodes for tasks of your own, and their dashboard",
    "  delta-node attack                attacks on three nodes, and what they answer",
];

/// One round in numbers.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Round {
    pub(super) round: u32,
    pub(super) seconds: f64,
    pub(super) clients: Vec<String>,
    pub(super) dropped: Vec<String>,
    pub(super) finished: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) accuracy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) loss: Option<f64>,
    /// Whether the sum is the plain sum, bit for bit.
    pub(super) exact: bool,
}

/// The whole demonstration in numbers.
#[derive(Debug)]
pub(super) struct Summary {
    rounds: Vec<Round>,
    before: f64,
    after: f64,
    exact: bool,
    victim: String,
    result: PathBuf,
}

impl Summary {
    pub(super) fn new(rounds: Vec<Round>, result: &Path, victim: String) -> anyhow::Result<Self> {
        let measured: Vec<f64> = rounds.iter().filter_map(|r| r.accuracy).collect();
        let (Some(before), Some(after)) = (measured.first(), measured.last()) else {
            bail!("no round measured an accuracy")
        };
        let (before, after) = (*before, *after);
        let finished: Vec<&Round> = rounds.iter().filter(|r| r.finished).collect();
        let exact = !finished.is_empty() && finished.iter().all(|r| r.exact);
        Ok(Self {
            before,
            after,
            exact,
            victim,
            result: result.to_owned(),
            rounds,
        })
    }

    /// Draws accuracy and loss per round into [`PICTURE`] in `folder`.
    pub(super) fn draw(&self, folder: &Path) -> anyhow::Result<()> {
        let points: Vec<RoundPoint> = self
            .rounds
            .iter()
            .filter_map(|r| {
                Some(RoundPoint {
                    round: r.round,
                    accuracy: r.accuracy?,
                    loss: r.loss,
                    dropped: r.dropped.clone(),
                })
            })
            .collect();
        let members = self.rounds.iter().map(|r| r.clients.len()).max();
        let title = format!(
            "{} nodes train one model, and {} is lost on the way",
            members.unwrap_or(0),
            self.victim
        );
        let svg = plot::training(&title, &points)?;
        std::fs::write(folder.join(PICTURE), svg).context("the picture cannot be written")
    }

    /// The end of what a person reads.
    pub(super) fn text(&self, result: &Path, folder: Option<&Path>) -> String {
        let most = self
            .rounds
            .iter()
            .map(|r| r.clients.len())
            .max()
            .unwrap_or(0);
        let seconds: Vec<f64> = self
            .rounds
            .iter()
            .filter(|r| r.clients.len() == most)
            .map(|r| r.seconds)
            .collect();
        let mean = seconds.iter().sum::<f64>()
            / f64::from(u32::try_from(seconds.len().max(1)).unwrap_or(u32::MAX));
        let mut lines = vec![
            String::new(),
            format!("accuracy before    {:.1} %", self.before * 100.0),
            format!("accuracy after     {:.1} %", self.after * 100.0),
            format!(
                "rounds             {}, {} of training and one that measures ({mean:.2} s each while all nodes lived)",
                self.rounds.len(),
                self.rounds.len().saturating_sub(1)
            ),
            format!("lost on the way    {}", self.victim),
            format!(
                "sum is exact       {}",
                if self.exact {
                    "yes, bit for bit, in every round"
                } else {
                    "NO"
                }
            ),
            format!("result             {}", result.display()),
            format!(
                "picture            {}",
                result.with_file_name(PICTURE).display()
            ),
        ];
        if let Some(folder) = folder {
            lines.push(format!("databases, logs    {}", folder.display()));
        }
        lines.push(String::new());
        lines.extend(NEXT.map(str::to_owned));
        lines.join("\n")
    }

    /// One object for scripts.
    pub(super) fn json(&self, ok: bool, result: &Path) -> serde_json::Value {
        serde_json::json!({
            "ok": ok,
            "accuracy_before": self.before,
            "accuracy_after": self.after,
            "exact_sum": self.exact,
            "rounds": self.rounds,
            "result_file": result,
            "plot_file": result.with_file_name(PICTURE),
        })
    }

    /// Whether everything went as it should.
    pub(super) fn verdict(&self) -> anyhow::Result<()> {
        if !self.exact {
            bail!("a sum is not the plain sum of its contributions");
        }
        if self.after <= self.before {
            bail!(
                "training did not help: accuracy {:.3} before, {:.3} after",
                self.before,
                self.after
            );
        }
        if !self
            .rounds
            .iter()
            .any(|r| r.finished && r.dropped.contains(&self.victim))
        {
            bail!(
                "no round finished without {}, which was killed",
                self.victim
            );
        }
        if std::fs::metadata(&self.result).is_ok_and(|m| m.len() == 0) {
            bail!("the result file is empty");
        }
        Ok(())
    }
}
