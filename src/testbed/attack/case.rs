//! One attack: who tries what, the function that does it, and what came of it.

use std::future::Future;
use std::pin::Pin;

use serde::Serialize;

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

/// Of an attack that is known to work: nodes have nothing against it yet, and whoever runs one must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Open {
    /// Who can do it.
    pub(super) who: &'static str,
    /// What an owner can do against it today.
    pub(super) against: &'static str,
}

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
    /// Known to work: that it gets through is told and does not fail the verdict.
    pub(super) open: Option<Open>,
    pub(super) run: for<'a> fn(&'a Targets) -> Running<'a>,
}

/// `name, tried => function`, a list of attacks by one kind of attacker; of open ones with `(who, against)` before the arrow.
macro_rules! attacks {
    ($by:literal, $own:literal; $($name:literal, $tried:literal $(($who:literal, $against:literal))? => $run:path;)+) => {
        &[$($crate::testbed::attack::case::Attack {
            name: $name,
            by: $by,
            tried: $tried,
            own: $own,
            open: $crate::testbed::attack::case::attacks!(@open $($who, $against)?),
            run: |field| Box::pin($run(field)),
        }),+]
    };
    (@open) => { None };
    (@open $who:literal, $against:literal) => {
        Some($crate::testbed::attack::case::Open { who: $who, against: $against })
    };
}
pub(super) use attacks;
