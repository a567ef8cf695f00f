//! What is needed until when: a value, a variable or a loaded graph that no later step reads is let go, as it may be as large as the
//! whole model.

use std::collections::{BTreeMap, BTreeSet};

use super::graphs::{Graphs, graph_of};
use super::scope::Scope;
use crate::failure::Failure;
use delta_domain::ids::Name;
use delta_domain::manifest::{Source, Step};
use delta_domain::tensor::Tensor;

/// Lets go of what neither the `later` steps read nor `made` names, the values that are handed out at the end.
pub(super) fn let_go(
    scope: &mut Scope,
    graphs: &mut Graphs<'_>,
    later: &[Step],
    made: &BTreeSet<&Name>,
) {
    let sources = || later.iter().flat_map(|step| step.inputs.values());
    let reads = |wanted: fn(&Source) -> Option<&Name>| -> BTreeSet<&Name> {
        sources().filter_map(wanted).collect()
    };
    let variables = reads(|source| match source {
        Source::Variable { name } => Some(name),
        _ => None,
    });
    let values = reads(|source| match source {
        Source::Value { name } => Some(name),
        _ => None,
    });
    let sums = reads(|source| match source {
        Source::Sum { name } => Some(name),
        _ => None,
    });
    scope.variables.retain(|name, _| variables.contains(name));
    scope
        .values
        .retain(|name, _| values.contains(name) || made.contains(name));
    scope
        .sums
        .retain(|name, _| sums.contains(name) || made.contains(name));
    let runtime = graphs.runtime();
    let files: BTreeSet<&str> = later.iter().filter_map(|s| graph_of(s, &runtime)).collect();
    graphs.keep(&files);
}

/// Values that are handed out, each as often as it is asked for, and without a copy the last time.
pub(super) struct HandedOut<'n> {
    left: BTreeMap<&'n Name, usize>,
}

impl<'n> HandedOut<'n> {
    /// Of the values that will be taken, each named as often as it will be.
    pub(super) fn new(names: impl Iterator<Item = &'n Name>) -> Self {
        let mut left = BTreeMap::new();
        for name in names {
            *left.entry(name).or_default() += 1;
        }
        Self { left }
    }

    /// The names.
    pub(super) fn names(&self) -> BTreeSet<&'n Name> {
        self.left.keys().copied().collect()
    }

    /// One of them.
    pub(super) fn take(&mut self, scope: &mut Scope, name: &Name) -> Result<Tensor, Failure> {
        let left = self.left.get_mut(name);
        let last = left.is_some_and(|left| {
            *left = left.saturating_sub(1);
            *left == 0
        });
        let taken = match last {
            true => scope.values.remove(name),
            false => None,
        };
        taken.map_or_else(|| scope.value(name).cloned(), Ok)
    }
}
