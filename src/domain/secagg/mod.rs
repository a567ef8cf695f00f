//! The cryptographic primitives of one secure-aggregation round (docs/protocol/secagg.md; Bonawitz et al., CCS 2017).
//!
//! Step by step, in the paper's order:
//! AdvertiseKeys uses [`keys`]; ShareKeys splits with [`shamir`] over [`field`], commits with [`commitment`] and encrypts
//! with [`seal`], whose keys a member keeps for its task in [`sealing`]; MaskedInput quantises with [`encoding`] or writes [`exact_number`]s, derives pairwise seeds with [`pairwise`], adds keystreams with
//! [`mask`] and frames the result with [`masked_input`]; Unmasking combines shares and subtracts the same keystreams.
//!
//! Deliberately not here: who may ask whom for what, and when. That is the round, which decides before it calls anything below.
//! All functions are pure: randomness is an argument, secrets are wiped on drop, and no peer's input can panic or allocate
//! without a bound.

pub mod commitment;
pub mod encoding;
pub mod exact_number;
pub mod field;
mod fixed_point;
pub(crate) mod kdf;
pub mod keys;
mod keystream;
pub mod mask;
pub mod masked_input;
pub mod pairwise;
pub mod seal;
pub mod sealing;
pub mod shamir;
pub mod stream_adder;
pub mod word;

#[cfg(test)]
pub(crate) mod vectors;

pub use commitment::{commit_share, commit_upload, verify as verify_share};
pub use encoding::{EncodeError, Encoding, QuantiseError, QuantiseErrorKind};
pub use keys::{Curve, KeyError, KeyPair, PublicKey};
pub use mask::{MaskGenerator, MaskSeed, Masker, Sign};
pub use masked_input::{HeaderError, MaskedInputHeader};
pub use pairwise::{pairwise_seed, pairwise_seeds, sign_for};
pub use seal::{SealContext, SealError, SealKey, ShareKind};
pub use sealing::SealingPair;
pub use shamir::{CombineError, Interpolator, ShamirError, Share, ShareDecodeError};
pub use stream_adder::{StreamAdder, StreamError};
pub use word::{Ring, Word};
