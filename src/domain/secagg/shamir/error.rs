//! What can be wrong with a split, a share or a set of shares.

/// Why a secret cannot be split this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShamirError {
    /// A threshold of zero would publish the secret.
    #[error("the threshold is zero")]
    ZeroThreshold,
    /// Nobody could ever rebuild the secret.
    #[error("a threshold of {threshold} is above {holders} holders")]
    ThresholdAboveHolders {
        /// Shares needed.
        threshold: usize,
        /// Shares made.
        holders: usize,
    },
    /// More than [`MAX_HOLDERS`](super::MAX_HOLDERS).
    #[error("{holders} holders are more than 65535")]
    TooManyHolders {
        /// Shares asked for.
        holders: usize,
    },
    /// More than [`MAX_SECRET_BYTES`](super::MAX_SECRET_BYTES).
    #[error("a secret of {bytes} bytes is longer than 65")]
    SecretTooLong {
        /// Length of the secret.
        bytes: usize,
    },
}

/// Why bytes are not a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareDecodeError {
    /// The bytes end inside x.
    #[error("a share ends too early")]
    Truncated,
    /// More bytes than the longest share.
    #[error("a share is longer than 69 bytes")]
    TooLong,
    /// The point at zero is the secret itself.
    #[error("a share has x = 0")]
    ZeroX,
    /// x does not fit two bytes.
    #[error("the x of a share takes more than two bytes")]
    XOutOfRange,
    /// A leading zero byte in x or y.
    #[error("a share is not in its shortest form")]
    NotMinimal,
    /// y is not below the prime.
    #[error("the y of a share is not below 2^521 - 1")]
    YOutOfRange,
}

/// Why shares do not give a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CombineError {
    /// Fewer shares than the threshold.
    #[error("{have} shares are fewer than the threshold {need}")]
    TooFew {
        /// Shares at hand.
        have: usize,
        /// Shares that rebuild the secret.
        need: usize,
    },
    /// Two shares of one holder.
    #[error("two shares have x = {x}")]
    DuplicateX {
        /// The x they share.
        x: u16,
    },
    /// A share at zero.
    #[error("a share has x = 0")]
    ZeroX,
    /// A threshold of zero.
    #[error("the threshold is zero")]
    ZeroThreshold,
    /// The shares are not those of the holders that the coefficients were computed for.
    #[error("the shares are of other holders than the interpolator's")]
    WrongHolders,
    /// The number does not fit: at least one share is of another secret.
    #[error("the shares do not give a secret of {bytes} bytes")]
    TooLong {
        /// Length asked for.
        bytes: usize,
    },
    /// No secret is that long.
    #[error("no secret has {bytes} bytes")]
    SecretLength {
        /// Length asked for.
        bytes: usize,
    },
}
