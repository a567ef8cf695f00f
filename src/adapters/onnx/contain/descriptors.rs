//! Files and connections that a worker was started with: all go but its three pipes.
//!
//! The node opens everything so that programs it starts do not get it; what the node itself was started with (a shell's, a supervisor's)
//! it would hand on.

use std::os::fd::RawFd;

use nix::unistd::close;

/// Descriptors looked at where `/proc` cannot be read.
const LAST: RawFd = 65_536;

/// Closes everything above the standard error. Answers how many descriptors are still open.
///
/// Call it before anything is opened: whoever owns a descriptor by then would lose it.
pub(crate) fn close_inherited() -> usize {
    let inherited = open_now().unwrap_or_else(|| (3..LAST).collect());
    for descriptor in inherited {
        // Not open: the listing's own.
        let _was_closed = close(descriptor);
    }
    // The listing of `open_now` itself is there again, and gone afterwards.
    open_now().map_or(0, |left| left.len().saturating_sub(1))
}

fn open_now() -> Option<Vec<RawFd>> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    let numbers = entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    Some(numbers.filter(|n: &RawFd| *n > 2).collect())
}
