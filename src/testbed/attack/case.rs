//! One attack: who tries what, the function that does it, and what came of it.

use std::future::Future;
use std::pin::Pin;

use super::target::Targets;

/// What came of an attack, before the aftermath is looked at.
pub(super) struct Outcome {
    /// What the node said or did, for people.
    pub(super) answered: String,
    pub(super) repelled: bool,
}

impl Outcome {
    pub(super) fn new(repelled: bool, answered: impl Into<String>) -> Self {
        Self {
            answered: answered.into(),
            repelled,
        }
    }
}

pub(super) type Running<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Outcome>> + Send + 'a>>;

/// One attack.
#[derive(Clone, Copy)]
pub(super) struct Attack {
    /// What `--only` looks for.
    pub(super) name: &'static str,
    /// Who attacks: a stranger, a member, a coordinator, a connector.
    pub(super) by: &'static str,
    pub(super) tried: &'static str,
    /// Whether it needs a connector of our own.
    pub(super) own: bool,
    pub(super) run: for<'a> fn(&'a Targets) -> Running<'a>,
}

/// `name, tried => function`, a list of attacks by one kind of attacker.
macro_rules! attacks {
    ($by:literal, $own:literal; $($name:literal, $tried:literal => $run:path;)+) => {
        &[$($crate::testbed::attack::case::Attack {
            name: $name,
            by: $by,
            tried: $tried,
            own: $own,
            run: |field| Box::pin($run(field)),
        }),+]
    };
}
pub(super) use attacks;
