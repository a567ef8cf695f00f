//! What is tested, one file a subject.

mod alone;
mod certified;
mod coordinator;
mod garbage;
mod measured;
mod operating;
mod refusals;
mod registered;
mod runner;
mod together;
#[cfg(feature = "otlp")]
mod traced;
