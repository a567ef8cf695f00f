//! `init`: the configuration file and the directories it names. Never replaces anything.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::config::{Config, EXAMPLE, Purpose};

/// Writes what is missing and says so.
///
/// # Errors
/// A file or directory cannot be made, or an existing configuration file is wrong.
pub(crate) fn init(file: &Path, environment: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let mut said = String::new();
    let written = write_new(file)?;
    if written {
        writeln!(said, "wrote {}", file.display())?;
    } else {
        writeln!(
            said,
            "{} is already there and was left as it is",
            file.display()
        )?;
    }
    let config = Config::load(file, environment, Purpose::Tool)?.config;
    let key_file = config.key_file();
    let files = [
        config.db.file(),
        Some(key_file.as_path()),
        Some(config.connector.db_file.as_path()),
    ];
    let folders = files.into_iter().flatten().filter_map(Path::parent);
    let directories = [config.task_dir.as_path(), &config.data_dir, &config.log.dir];
    for directory in directories.into_iter().chain(folders) {
        if !directory.as_os_str().is_empty() && !directory.is_dir() {
            fs::create_dir_all(directory)
                .with_context(|| format!("cannot make the directory {}", directory.display()))?;
            writeln!(said, "made {}", directory.display())?;
        }
    }
    if config.chain_connector.host.is_empty() {
        writeln!(
            said,
            "next: in {} set chain_connector.host (\"embedded\" for a network of your own) and node.url, then `delta-node check` and `delta-node run`",
            file.display()
        )?;
    }
    Ok(said)
}

/// Writes the example to `file` unless something is there.
fn write_new(file: &Path) -> anyhow::Result<bool> {
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot make the directory {}", parent.display()))?;
    }
    match fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
    {
        Ok(mut new) => {
            new.write_all(EXAMPLE.as_bytes())
                .with_context(|| format!("cannot write {}", file.display()))?;
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot write {}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::init;

    #[test]
    fn an_existing_file_is_kept_and_its_directories_are_made() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let text = format!(
            "log: {{dir: {0}/l}}\ndb: sqlite:///{0}/d/x.db\nconnector: {{db: 'sqlite:///{0}/c/x.db'}}\ntask_dir: {0}/t\ndata_dir: {0}/data\nkey_file: {0}/k/node.key\n",
            home.path().display()
        );
        fs::write(at("c.yaml"), &text).unwrap();
        let said = init(&at("c.yaml"), &BTreeMap::new()).unwrap();
        assert!(
            said.contains("left as it is") && said.contains("chain_connector.host"),
            "{said}"
        );
        assert_eq!(fs::read_to_string(at("c.yaml")).unwrap(), text);
        for directory in ["l", "d", "c", "k", "t", "data"] {
            assert!(at(directory).is_dir(), "{directory}");
        }
    }
}
