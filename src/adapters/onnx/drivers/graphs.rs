//! The graphs of a job: checked, and loaded into the runtime when first run.

use std::collections::{BTreeMap, BTreeSet};

use crate::failure::Failure;
use crate::guard::CheckedGraph;
use crate::runtime::{Loaded, Runtime};
use delta_domain::manifest::Step;

/// The graphs of a task: checked, and loaded when first run.
pub(crate) struct Graphs<'a> {
    runtime: &'a dyn Runtime,
    checked: BTreeMap<String, CheckedGraph>,
    loaded: BTreeMap<String, Loaded>,
}

impl<'a> Graphs<'a> {
    pub(crate) fn new(runtime: &'a dyn Runtime, checked: BTreeMap<String, CheckedGraph>) -> Self {
        Self {
            runtime,
            checked,
            loaded: BTreeMap::new(),
        }
    }

    /// Unloads all but these.
    pub(super) fn keep(&mut self, files: &BTreeSet<&str>) {
        self.loaded.retain(|file, _| files.contains(file.as_str()));
        self.checked.retain(|file, _| files.contains(file.as_str()));
    }

    /// The name of the runtime that executes them.
    pub(super) fn runtime(&self) -> String {
        self.runtime.info().name
    }

    /// A graph of the bundle, ready to run.
    pub(super) fn get(&mut self, file: &str) -> Result<&mut Loaded, Failure> {
        if !self.loaded.contains_key(file) {
            let graph = self.checked.remove(file).ok_or_else(|| {
                Failure::internal(format!("graph {file} was not sent to the worker"))
            })?;
            self.loaded.insert(
                file.to_owned(),
                Loaded::new(self.runtime, graph).map_err(|f| f.within(file))?,
            );
        }
        self.loaded
            .get_mut(file)
            .ok_or_else(|| Failure::internal(format!("graph {file} vanished")))
    }
}

/// Which graph of a step this runtime executes; none for a closed form.
pub(crate) fn graph_of<'s>(step: &'s Step, runtime: &str) -> Option<&'s str> {
    match &step.graph_onnxruntime {
        Some(graph) if runtime == "onnxruntime" => Some(graph),
        _ => step.graph.as_deref(),
    }
}
