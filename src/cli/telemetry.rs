//! Logs: to the terminal and to rotated, bounded files in `log.dir`, as text or JSON, with UTC timestamps.
//!
//! Both writers are bounded queues with a thread of their own: a slow disk or a stopped terminal costs log lines, never the node's time.
//! How many were lost is told at the end. What may be logged is each caller's duty: never secrets, shares, seeds or model values.

mod files;
mod level;
#[cfg(feature = "otlp")]
mod traces;

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, reload};

use crate::bootstrap;
use crate::config::{Level, Log, LogFormat};
use delta_ports::operator_api::LogFilter;
use files::LogFiles;
use level::Reloadable;

/// Records that may wait for a writer.
const QUEUE: usize = 8192;

/// Crates whose own INFO and DEBUG records say nothing to an operator.
const QUIET: &str = "h2=warn,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,sqlx=warn,tonic=warn,tower=warn,tract=warn,warp=warn,ort=warn";

/// Writes what is still queued when dropped. Keep it until the process ends.
#[must_use = "dropping it ends the log"]
#[derive(Debug)]
pub(crate) struct Flush {
    workers: Vec<WorkerGuard>,
    lost: Vec<ErrorCounter>,
    #[cfg(feature = "otlp")]
    _traces: Option<traces::Traces>,
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.workers.clear();
        let lost: usize = self.lost.iter().map(ErrorCounter::dropped_lines).sum();
        if lost > 0 {
            // The last word, after the log itself is closed; nobody is left to hear of a failure.
            drop(writeln!(
                std::io::stderr(),
                "{lost} log lines were lost because their writers could not keep up"
            ));
        }
    }
}

/// Starts logging for this process; answers with what changes how much it says. `RUST_LOG`, when set, wins over the configured level.
///
/// # Errors
/// The log folder cannot be made or written to, `RUST_LOG` is not a filter, or logging has been started before.
pub(crate) fn init(log: &Log) -> anyhow::Result<(Flush, Arc<dyn LogFilter>)> {
    let (file, file_worker) = queue(appender(log)?, "log-file");
    let (terminal, terminal_worker) = queue(std::io::stderr(), "log-terminal");
    let lost = vec![file.error_counter(), terminal.error_counter()];
    let colours = std::io::stderr().is_terminal();
    let (filter, handle) = reload::Layer::new(filter(log.level)?);
    let registry = tracing_subscriber::registry()
        .with(filter)
        .with(layer(log.format, file, false))
        .with(layer(log.format, terminal, colours));
    #[cfg(feature = "otlp")]
    let (registry, traces) = {
        let traces = log.otlp.as_deref().map(traces::to).transpose()?;
        let (layer, traces) = traces.unzip();
        (registry.with(layer), traces)
    };
    registry.try_init().context("logging is already started")?;
    let flush = Flush {
        workers: vec![file_worker, terminal_worker],
        lost,
        #[cfg(feature = "otlp")]
        _traces: traces,
    };
    Ok((flush, Arc::new(Reloadable(handle))))
}

fn appender(log: &Log) -> anyhow::Result<LogFiles> {
    LogFiles::open(log, bootstrap::clock()).with_context(|| cannot_use(&log.dir))
}

fn cannot_use(dir: &Path) -> String {
    format!("cannot write logs into {} (log.dir)", dir.display())
}

fn queue(writer: impl std::io::Write + Send + 'static, name: &str) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .buffered_lines_limit(QUEUE)
        .lossy(true)
        .thread_name(name)
        .finish(writer)
}

fn filter(level: Level) -> anyhow::Result<EnvFilter> {
    let directives = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(directives) if !directives.is_empty() => directives,
        _ => format!("{},{QUIET}", directive(level)),
    };
    EnvFilter::builder()
        .parse(&directives)
        .with_context(|| format!("RUST_LOG: \"{directives}\" is not a filter"))
}

fn directive(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

/// Spans that are for traces alone do not stand before the log's lines.
fn is_logged(metadata: &tracing::Metadata<'_>) -> bool {
    metadata.target() != delta_ports::TRACES
}

fn layer<S, W>(format: LogFormat, writer: W, colours: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let base = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(colours);
    match format {
        LogFormat::Text => base.with_filter(FilterFn::new(is_logged)).boxed(),
        LogFormat::Json => base
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_filter(FilterFn::new(is_logged))
            .boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::{appender, filter, layer, queue};
    use crate::config::{Config, Level, LogFormat, Rotation};
    use tracing_subscriber::layer::SubscriberExt as _;

    fn logged(format: LogFormat, level: Level) -> String {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Config::default().log;
        log.dir = folder.path().join("deep/logs");
        log.rotation = Rotation::Never;
        let (writer, worker) = queue(appender(&log).unwrap(), "test");
        let subscriber = tracing_subscriber::registry()
            .with(filter(level).unwrap())
            .with(layer(format, writer, false));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(task = "0x1", "round started");
            tracing::debug!("detail");
        });
        drop(worker);
        std::fs::read_to_string(log.dir.join("delta-node.log")).unwrap()
    }

    #[test]
    fn text_records_have_a_utc_time_and_are_flushed_at_the_end() {
        let text = logged(LogFormat::Text, Level::Info);
        let time = text.split_whitespace().next().unwrap();
        assert!(time.ends_with('Z') && time.contains('T'), "{text}");
        assert!(
            text.contains("round started") && text.contains("0x1"),
            "{text}"
        );
        assert!(!text.contains("detail"), "{text}");
    }

    #[test]
    fn json_records_are_one_object_a_line() {
        let text = logged(LogFormat::Json, Level::Debug);
        let records: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(records.len(), 2, "{text}");
        assert_eq!(records[0]["message"], "round started");
        assert_eq!(records[0]["task"], "0x1");
        assert!(records[0]["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}
