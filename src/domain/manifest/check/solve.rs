//! The driver `solve`: a closed form at the coordinator, without a graph.

use super::step::Side;
use super::{Found, key};
use crate::manifest::{Solve, Source, Step};

/// A step without a graph: its ends have fixed names. Shapes are compared where those of graphs are known.
pub(super) fn check_solve(
    step: &Step,
    solve: &Solve,
    side: Side<'_>,
    path: &str,
    found: &mut Found,
) {
    found.need(
        matches!(side, Side::Reduce(_)),
        format!("{path}.driver"),
        "equations are solved at the coordinator only; move the step to reduce",
    );
    found.need(
        // Written so that NaN fails.
        solve.ridge >= 0.0 && solve.ridge.is_finite(),
        format!("{path}.driver.ridge"),
        "must be a finite number, 0 or more",
    );
    for (field, file) in [
        ("graph", &step.graph),
        ("graph_onnxruntime", &step.graph_onnxruntime),
    ] {
        found.need(
            file.is_none(),
            format!("{path}.{field}"),
            "the driver solve runs no graph; remove it, or use the driver once",
        );
    }
    found.need(
        step.inputs.keys().eq(["a", "b"]),
        format!("{path}.inputs"),
        "the driver solve has the inputs a and b and no other",
    );
    for (input, source) in &step.inputs {
        found.need(
            !matches!(source, Source::Clients),
            format!("{path}.inputs.{}", key(input)),
            "the number of members is no matrix; feed a variable, a value or a sum",
        );
    }
    found.need(
        step.outputs.keys().eq(["x"]),
        format!("{path}.outputs"),
        "the driver solve has the output x and no other",
    );
}
