//! Who makes and checks certificates, where the program has it.

use std::sync::Arc;

use delta_ports::certifier::Certifier;

/// One for the whole program: it keeps the points that it has computed. `None` in a build without the feature `prover`.
pub(crate) fn certifier() -> Option<Arc<dyn Certifier>> {
    #[cfg(feature = "prover")]
    return Some(Arc::new(
        crate::adapters::prover::RistrettoCertifier::default(),
    ));
    #[cfg(not(feature = "prover"))]
    None
}
