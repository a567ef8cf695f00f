//! Who makes and checks certificates, where the program has it.

use std::sync::Arc;

use delta_ports::certifier::Certifier;

/// One for the whole program: it keeps the points that it has computed. `None` in a build without the feature `prover`.
#[cfg(feature = "prover")]
pub(crate) fn certifier() -> Option<Arc<dyn Certifier>> {
    Some(Arc::new(
        crate::adapters::prover::RistrettoCertifier::default(),
    ))
}

/// None: this build is without the feature `prover`.
#[cfg(not(feature = "prover"))]
pub(crate) fn certifier() -> Option<Arc<dyn Certifier>> {
    None
}
