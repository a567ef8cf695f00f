//! What `build.rs` generates from `proto/`. Internal: nothing outside the gRPC code may speak in these types.

#![allow(
    missing_docs,
    unreachable_pub,
    non_camel_case_types,
    elided_lifetimes_in_paths,
    clippy::all,
    clippy::cast_possible_truncation
)]
#![allow(rustdoc::all)]

include!(concat!(env!("OUT_DIR"), "/connector_wire.rs"));
