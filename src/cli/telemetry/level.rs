//! How much the log says, changed while the process runs.

use tracing_subscriber::{EnvFilter, Registry, reload};

use super::QUIET;
use delta_ports::operator_api::LogFilter;
use delta_ports::{PortError, PortErrorKind};

/// The filter of this process's log.
pub(super) struct Reloadable(pub(super) reload::Handle<EnvFilter, Registry>);

/// A filter as somebody types it: crates whose records say nothing to an operator stay quiet unless they are named.
pub(super) fn read(filter: &str) -> Result<EnvFilter, PortError> {
    let wrong = |e: &dyn std::error::Error| {
        let text = format!(
            "{filter:?} is no filter: expected error, warn, info, debug or trace, or such as info,delta_app=debug ({e})"
        );
        PortError::new(PortErrorKind::Rejected, "log.filter", text)
    };
    if filter.chars().any(char::is_control) {
        return Err(wrong(&std::io::Error::other("it has control characters")));
    }
    // Values of fields are compared as they are: a regular expression of a caller's could take any time and memory to be read.
    let parsed = EnvFilter::builder()
        .with_regex(false)
        .parse(format!("{QUIET},{filter}"));
    let parsed = parsed.map_err(|e| wrong(&e))?;
    // A single word that is no level would be taken for a crate: nothing but its records would be left.
    let levels = ["error", "warn", "info", "debug", "trace", "off"];
    let named = |part: &str| {
        part.contains('=') || levels.contains(&part.trim().to_ascii_lowercase().as_str())
    };
    let silent = |part: &str| part.trim().eq_ignore_ascii_case("off");
    match filter.split(',').all(named) && !filter.split(',').any(silent) {
        true => Ok(parsed),
        false => Err(wrong(&std::io::Error::other("a word is no level"))),
    }
}

impl LogFilter for Reloadable {
    fn filter(&self) -> Result<String, PortError> {
        self.0
            .with_current(|filter| {
                let all = filter.to_string();
                let quiet: Vec<&str> = QUIET.split(',').collect();
                let said: Vec<&str> = all.split(',').filter(|d| !quiet.contains(d)).collect();
                said.join(",")
            })
            .map_err(gone)
    }

    fn set_filter(&self, filter: &str) -> Result<(), PortError> {
        self.0.reload(read(filter)?).map_err(gone)
    }
}

fn gone(error: reload::Error) -> PortError {
    PortError::new(
        PortErrorKind::Internal,
        "log.filter",
        "the log of this process has ended",
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt as _;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_says_more_and_less_while_it_runs() {
        let kept = Kept::default();
        let (layer, handle) = reload::Layer::new(read("info").unwrap());
        let log = Reloadable(handle);
        let writer = kept.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer).with(lines);
        tracing::subscriber::with_default(subscriber, || {
            for (filter, n) in [
                ("info", 1),
                ("debug", 2),
                ("warn", 3),
                ("delta_node=trace,error", 4),
            ] {
                log.set_filter(filter).unwrap();
                tracing::debug!("detail {n}");
                tracing::info!("news {n}");
                tracing::debug!(target: "hyper", "noise {n}");
            }
            assert_eq!(log.filter().unwrap(), "delta_node=trace,error");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let said: Vec<&str> = text
            .lines()
            .map(|l| l.split_once(": ").unwrap().1)
            .collect();
        assert_eq!(said, ["news 1", "detail 2", "news 2", "detail 4", "news 4"]);
    }

    #[test]
    fn a_value_in_a_filter_is_no_regular_expression() {
        // 2^28 states, were it one.
        let value = format!("(a|b)*a{}", "(a|b)".repeat(28));
        drop(read(&format!("[request{{id={value}}}]=info")));
    }

    #[test]
    fn what_is_no_filter_is_refused_and_changes_nothing() {
        let (_layer, handle) = reload::Layer::<_, Registry>::new(read("info").unwrap());
        let log = Reloadable(handle);
        for wrong in [
            "loud",
            "",
            "info,",
            "off",
            "info,off",
            "off,off",
            "delta_app=loud",
            "info debug",
            "info,a=debug\nINFO somebody is admitted",
        ] {
            let error = log.set_filter(wrong).unwrap_err();
            assert_eq!(error.kind(), PortErrorKind::Rejected, "{wrong}");
        }
        assert_eq!(log.filter().unwrap(), "info");
    }
}
