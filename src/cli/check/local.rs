//! The probes that need only files and sockets: configuration, directories, API port, what lies in the data directory.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;

use super::finding::Finding;
use crate::cli::health;
use crate::config::{Config, Loaded};

/// How many names the data finding lists.
const SHOWN: usize = 8;

/// Everything that can be found out without talking to anybody.
#[must_use]
pub(crate) fn local(file: &Path, loaded: &Loaded) -> Vec<Finding> {
    let config = &loaded.config;
    let mut findings = vec![Finding::ok(
        "config",
        format!("{} is complete.", file.display()),
    )];
    findings.extend(
        loaded
            .warnings
            .iter()
            .map(|warning| Finding::warn("config", warning.to_string())),
    );
    findings.push(directory("task directory", &config.task_dir));
    findings.push(directory("log directory", &config.log.dir));
    if let Some(file) = config.db.file() {
        findings.push(directory("database directory", parent(file)));
    }
    if let Some(file) = &config.key_file {
        findings.push(directory("key directory", parent(file)));
    }
    if config.chain_connector.is_embedded() {
        findings.push(directory(
            "connector database directory",
            parent(&config.connector.db_file),
        ));
    }
    findings.push(data(&config.data_dir));
    findings.push(api_port(config));
    findings
}

fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A directory that the node writes to: tried out, since permissions alone do not tell.
fn directory(name: &'static str, path: &Path) -> Finding {
    let shown = path.display();
    if !path.is_dir() {
        return Finding::fail(
            name,
            format!("{shown} is not there; `delta-node init` makes it."),
        );
    }
    match tempfile::tempfile_in(path) {
        Ok(_) => Finding::ok(name, format!("{shown} can be written to.")),
        Err(error) => Finding::fail(name, format!("{shown} cannot be written to: {error}.")),
    }
}

fn data(path: &Path) -> Finding {
    let name = "data";
    let shown = path.display();
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Finding::fail(
                name,
                format!("{shown} is not there; `delta-node init` makes it."),
            );
        }
        Err(error) => return Finding::fail(name, format!("{shown} cannot be read: {error}.")),
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    let listed = names
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match names.len() {
        0 => Finding::warn(
            name,
            format!(
                "{shown} is empty; the node can submit tasks and has nothing to contribute to others'."
            ),
        ),
        1 => Finding::ok(name, format!("one dataset in {shown}: {listed}.")),
        count if count <= SHOWN => {
            Finding::ok(name, format!("{count} datasets in {shown}: {listed}."))
        }
        count => Finding::ok(
            name,
            format!(
                "{count} datasets in {shown}: {listed} and {} more.",
                count - SHOWN
            ),
        ),
    }
}

fn api_port(config: &Config) -> Finding {
    let name = "api port";
    let (host, port) = (config.api_host, config.api_port);
    match TcpListener::bind((host, port)) {
        Ok(_) => Finding::ok(name, format!("{port} is free.")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if health::ask_own(config).is_ok() {
                Finding::ok(name, format!("a node is running on {port}."))
            } else {
                Finding::fail(
                    name,
                    format!("{port} is in use by another program; stop it or set api_port."),
                )
            }
        }
        Err(error) => Finding::fail(name, format!("{host}:{port} cannot be used: {error}.")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, TcpListener};

    use super::{api_port, data, directory};
    use crate::cli::check::finding::Level;
    use crate::config::Config;

    #[test]
    fn directories_are_tried_out() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(directory("x", home.path()).level, Level::Ok);
        assert_eq!(
            std::fs::read_dir(home.path()).unwrap().count(),
            0,
            "the trial leaves nothing"
        );
        let missing = directory("x", &home.path().join("no"));
        assert_eq!(missing.level, Level::Fail);
        assert!(missing.detail.contains("init"));
    }

    #[test]
    fn datasets_are_listed_without_hidden_files() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(data(home.path()).level, Level::Warn);
        for name in ["b.csv", ".hidden", "a.npy"] {
            std::fs::write(home.path().join(name), "").unwrap();
        }
        let found = data(home.path());
        assert!(
            found.detail.starts_with("2 datasets") && found.detail.ends_with("a.npy, b.csv."),
            "{found:?}"
        );
        assert_eq!(data(&home.path().join("no")).level, Level::Fail);
    }

    #[test]
    fn a_taken_port_fails_and_a_free_one_does_not() {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let config = Config {
            api_host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            api_port: held.local_addr().unwrap().port(),
            ..Config::default()
        };
        // Whoever asks is turned away at once, as a program that does not speak HTTP would.
        let turned_away = std::thread::spawn(move || drop(held.accept()));
        assert_eq!(api_port(&config).level, Level::Fail);
        turned_away.join().unwrap();
        assert_eq!(api_port(&config).level, Level::Ok);
    }
}
