//! The one place of the program that names adapters.
//!
//! A configuration becomes [`Parts`], and these become a [`Running`] node. Whatever else `config`, `cli` and the test bed need of the
//! world they get from here too: as a port where there is one, else under a small type of this folder's own. For `attack` that
//! includes hostile ends: a connector with somebody in between (`Embedded::serve_intercepted`) and an API of an attacker's own (`serve_api`).
//!
//! Elsewhere only `src/adapters/mod.rs`, which lists the adapters, and `src/testing` name them; `tests/tidy.rs` fails on anything else.

mod certifier;
mod claims;
mod connector;
mod databases;
mod doors;
mod ends;
mod executor;
mod identity;
mod owner;
mod parts;
mod running;
mod storage;
mod tls;

pub(crate) use certifier::certifier;
pub(crate) use connector::{Dial, Intercept, connect, connect_as_somebody};
pub use connector::{Embedded, embedded};
pub(crate) use databases::databases;
pub(crate) use doors::{own_token, read_token, tokens};
pub use ends::clock;
pub(crate) use ends::{
    LogLine, Trust, UserClient, Way, allow_open_files, documents, documents_anywhere, endpoints,
    entropy, free_bytes, harden_process, peers_anywhere, self_signed, serve_api, users,
};
pub(crate) use executor::executor;
pub use executor::{
    ColumnKind, ColumnProfile, LocalExecutor, Probed, TableProfile, Walls, own_program, worker_main,
};
pub(crate) use identity::{
    accept_roster, checked_roster, node_key, read_roster, settings as identity_settings,
};
pub(crate) use owner::rules;
pub use parts::{Parts, open};
pub(crate) use running::FAREWELL;
pub use running::Running;
pub(crate) use storage::{
    RESTORED, copy_database, examine_database, forget_rounds, forget_tasks, open_storage,
};
