//! The task of these worlds: the mean of two numbers over all members, some steps long.

use std::collections::BTreeMap;

use delta_domain::bundle::write_bundle;
use delta_domain::manifest::Manifest;
use delta_domain::strategy::Strategy;
use delta_domain::tensor::{Tensor, TensorData};
use serde_json::json;

/// What a world's task asks for.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Steps of the task.
    pub rounds: u32,
    /// The fewest members of a round.
    pub min_clients: u32,
    /// The most members of a round.
    pub max_clients: u32,
    /// Shares that rebuild a secret; by default what the strategy makes of the number of members.
    pub threshold: Option<u32>,
    /// How often a failed step is tried again.
    pub retries: u32,
    /// Seconds for a phase in which members only answer.
    pub connection_timeout: f64,
    /// Seconds for the phase in which members compute.
    pub wait_timeout: f64,
    /// The step, from 0, whose reduce says that this is enough.
    pub stop_after: Option<u32>,
    /// Whether the task asks for noise: [`NOISE`] times a clip of one step of the precision, so that sums can still be told apart.
    pub noise: bool,
    /// Whether every round after the first must have the members of the one before.
    pub bound: bool,
    /// Whether the task also has two variables, one of the server's and one of each member's, whose [`HEAVY`] numbers come with the
    /// bundle, are read in every step and change in none: too large to stay with an open bundle.
    pub heavy: bool,
    /// Whether a last round certifies `total`: the coefficient of one column between -1 and 1, and the intercept.
    pub certified: bool,
}

/// Numbers of a heavy variable.
pub const HEAVY: usize = 50_000;

/// The noise of a task that asks for it, in units of the clip.
pub const NOISE: u32 = 8;

impl Default for Recipe {
    fn default() -> Self {
        Self {
            rounds: 1,
            min_clients: 2,
            max_clients: 8,
            threshold: None,
            retries: 1,
            connection_timeout: 60.0,
            wait_timeout: 60.0,
            stop_after: None,
            noise: false,
            bound: false,
            heavy: false,
            certified: false,
        }
    }
}

impl Recipe {
    /// The strategy in the manifest.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        self.manifest().strategy
    }

    /// The task's manifest.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        let (driver, target) = match self.noise {
            false => (
                json!({"kind": "once"}),
                json!({"to": "value", "name": "total"}),
            ),
            true => (
                json!({
                    "kind": "records",
                    "dataset": "any.csv",
                    "clip": {"l2": 1e-4},
                    "noise": {"multiplier": NOISE.to_string(), "delta": 1e-6}
                }),
                json!({"to": "sum", "name": "total"}),
            ),
        };
        let mut round = json!({
            "map": {
                "steps": [{
                    "graph": "graphs/any.onnx",
                    "driver": driver,
                    "inputs": {
                        "x": {"from": "data", "dataset": "any.csv", "field": {"columns": ["a"]}},
                        "before": {"from": "variable", "name": "total"}
                    },
                    "outputs": {"y": target}
                }],
                "contribute": [{"name": "total", "dtype": "f64", "shape": [2]}]
            },
            "reduce": {
                "steps": [{
                    "graph": "graphs/any.onnx",
                    "inputs": {"total": {"from": "sum", "name": "total"}},
                    "outputs": {"y": {"to": "value", "name": "mean"}}
                }],
                "assign": {"total": "mean"}
            }
        });
        if self.heavy {
            let inputs = &mut round["map"]["steps"][0]["inputs"];
            for name in ["model", "own"] {
                inputs[name] = json!({"from": "variable", "name": name});
            }
        }
        let bound = |number| {
            let mut round = round.clone();
            if self.bound && number > 0 {
                round["cohort"] = json!("same");
            }
            round
        };
        let mut rounds: Vec<_> = (0..self.rounds).map(bound).collect();
        rounds.extend(self.certified.then(certified));
        let mut variables = json!({"total": {"location": "server", "dtype": "f64", "shape": [2]}});
        if self.heavy {
            for (name, location) in [("model", "server"), ("own", "client")] {
                let file = format!("arrays/{name}.npy");
                variables[name] =
                    json!({"location": location, "dtype": "f32", "shape": [HEAVY], "init": file});
            }
        }
        serde_json::from_value(json!({
            "format": "delta-task/1",
            "name": "digits",
            "type": if self.certified { "hlr" } else { "horizontal" },
            "strategy": {
                "min_clients": self.min_clients,
                "max_clients": self.max_clients,
                "threshold": self.threshold,
                "retries": self.retries,
                "connection_timeout": self.connection_timeout,
                "wait_timeout": self.wait_timeout,
                "precision": 4
            },
            "datasets": {"any.csv": {"kind": "table", "columns": ["a"]}},
            "variables": variables,
            "rounds": rounds,
            "outputs": if self.heavy { vec!["total", "model"] } else { vec!["total"] }
        }))
        .unwrap()
    }

    /// The task as a user submits it.
    #[must_use]
    pub fn bundle(&self) -> Vec<u8> {
        let manifest = self.manifest();
        let errors = manifest.errors();
        assert!(errors.is_empty(), "{errors:?}");
        let graphs = BTreeMap::from([("graphs/any.onnx".to_owned(), b"never run".to_vec())]);
        let arrays = manifest.variables.values().filter_map(|v| v.init.clone());
        let arrays = arrays.map(|file| (file, heavy())).collect();
        write_bundle(&manifest, &graphs, &arrays).unwrap()
    }
}

/// The last round of a certified task.
fn certified() -> serde_json::Value {
    json!({
        "cohort": "same",
        "certify": {
            "model": "logistic",
            "columns": [{"name": "a", "low": -1.0, "high": 1.0}],
            "answer": "total",
            "intercept": 1,
            "tolerance": 1e-3
        },
        "map": {
            "steps": [{
                "graph": "graphs/any.onnx",
                "driver": {"kind": "records", "dataset": "any.csv"},
                "inputs": {"r": {"from": "data", "dataset": "any.csv", "field": {"columns": ["a"]}}},
                "outputs": {
                    "x": {"to": "sum", "name": "x"},
                    "y": {"to": "sum", "name": "y"},
                    "kept": {"to": "sum", "name": "kept"}
                }
            }],
            "contribute": []
        },
        "reduce": {"steps": [], "assign": {}}
    })
}

/// How a heavy variable begins.
#[must_use]
pub fn heavy() -> Tensor {
    let values = (0..HEAVY).map(|i| i as f32 / 7.0).collect();
    Tensor::new(vec![HEAVY], TensorData::F32(values)).unwrap()
}
