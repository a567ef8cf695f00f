//! `init`: the configuration file and the directories it names. Never replaces anything.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::args::TlsKind;
use crate::bootstrap;
use crate::config::{self, Config, EXAMPLE, Purpose};

/// Writes what is missing and says so.
///
/// # Errors
/// A file or directory cannot be made, or an existing configuration file is wrong.
pub(crate) async fn init(
    file: &Path,
    environment: &BTreeMap<String, String>,
    tls: Option<TlsKind>,
) -> anyhow::Result<String> {
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
    let token_file = config.token_file();
    let files = [
        config.db.file(),
        Some(key_file.as_path()),
        Some(token_file.as_path()),
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
    let own = config.own_token_file();
    if !own.exists() {
        bootstrap::own_token(&config, bootstrap::entropy().as_ref()).await?;
        writeln!(
            said,
            "made {}, the token with which commands on this machine call the node",
            own.display()
        )?;
    }
    if tls == Some(TlsKind::SelfSigned) {
        said.push_str(&certificate(file, &config)?);
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

/// Makes certificate and key beside the configuration file, and sets them there.
fn certificate(file: &Path, config: &Config) -> anyhow::Result<String> {
    let mut said = String::new();
    if let Some(tls) = &config.api.tls {
        let (named, file) = (tls.certificate.display(), file.display());
        if tls.certificate.exists() {
            writeln!(
                said,
                "{named} is the API's certificate already and was left as it is"
            )?;
        } else {
            writeln!(
                said,
                "api.tls in {file} names {named}, which is not there: for a new one set certificate and key to \"\" and run this again"
            )?;
        }
        return Ok(said);
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    let (certificate, key) = (folder.join("api.crt"), folder.join("api.key"));
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    if let Some(host) = config.node.host()
        && !names.iter().any(|name| name == host)
    {
        names.insert(0, host.to_owned());
    }
    let made = bootstrap::self_signed(names.clone(), bootstrap::clock().now())?;
    // The key first: a certificate without it is of no use to anybody.
    write_private(&key, made.key.as_bytes())?;
    write_private(&certificate, made.certificate.as_bytes())?;
    writeln!(
        said,
        "made {} for {}, and its key {}; give the other nodes the first for their tls.ca",
        certificate.display(),
        names.join(", "),
        key.display()
    )?;
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let values = [
        ("api.tls.certificate", certificate.display().to_string()),
        ("api.tls.key", key.display().to_string()),
    ];
    match set_empty(&text, &values) {
        Some(text) => {
            fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
            writeln!(said, "set api.tls in {}", file.display())?;
        }
        None => writeln!(
            said,
            "set in {}: api: {{tls: {{certificate: {:?}, key: {:?}}}}}",
            file.display(),
            values[0].1,
            values[1].1
        )?,
    }
    if !config.node.url.starts_with("https://") {
        writeln!(
            said,
            "begin node.url in {} with https://, and make another certificate when its host changes",
            file.display()
        )?;
    }
    Ok(said)
}

/// A file that only its owner can read. Nothing is replaced.
fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut new = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot make {}", path.display()))?;
    new.write_all(content)
        .and_then(|()| new.sync_all())
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The text with values in the place of empty ones; `None` unless each of the keys is there with `""`.
fn set_empty(text: &str, values: &[(&str, String)]) -> Option<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (key, value) in values {
        let at = config::position(text, key)?;
        let line = lines.get_mut(at.line.checked_sub(1)?)?;
        let column = line.char_indices().nth(at.column.checked_sub(1)?)?.0;
        let rest = line.get(column..)?.strip_prefix("\"\"")?.to_owned();
        line.replace_range(column.., &format!("{value:?}{rest}"));
    }
    lines.push(String::new());
    Some(lines.join("\n"))
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

    use std::path::Path;

    use super::{init, set_empty};
    use crate::cli::args::TlsKind;
    use crate::config::{Config, EXAMPLE, Purpose};

    #[tokio::test]
    async fn an_existing_file_is_kept_and_its_directories_are_made() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let text = format!(
            "log: {{dir: {0}/l}}\ndb: sqlite:///{0}/d/x.db\nconnector: {{db: 'sqlite:///{0}/c/x.db'}}\ntask_dir: {0}/t\ndata_dir: {0}/data\nkey_file: {0}/k/node.key\n",
            home.path().display()
        );
        fs::write(at("c.yaml"), &text).unwrap();
        let said = init(&at("c.yaml"), &BTreeMap::new(), None).await.unwrap();
        assert!(
            said.contains("left as it is") && said.contains("chain_connector.host"),
            "{said}"
        );
        assert_eq!(fs::read_to_string(at("c.yaml")).unwrap(), text);
        for directory in ["l", "d", "c", "k", "t", "data"] {
            assert!(at(directory).is_dir(), "{directory}");
        }
        assert!(
            at("d/node.token").is_file() && said.contains("node.token"),
            "{said}"
        );
    }

    #[test]
    fn only_empty_values_are_set() {
        let values = [("api.tls.key", "k \"1\".pem".to_owned())];
        let text = set_empty(EXAMPLE, &values).unwrap();
        assert_eq!(text.lines().count(), EXAMPLE.lines().count());
        assert!(text.contains(r#"    key: "k \"1\".pem""#), "{text}");
        for other in ["", "api: {tls: {key: k.pem}}", "api:\n  tls:\n    key: ''"] {
            assert_eq!(set_empty(other, &values), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_certificate_is_made_once_and_set() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let file = at("c.yaml");
        let place = home.path().display();
        let text = EXAMPLE
            .replace("\"logs\"", &format!("\"{place}/logs\""))
            .replace("sqlite:///db", &format!("sqlite:///{place}/db"))
            .replace("sqlite+aiosqlite:///db", &format!("sqlite:///{place}/db"))
            .replace("\"task\"", &format!("\"{place}/task\""))
            .replace("\"data\"", &format!("\"{place}/data\""))
            .replace("http://127.0.0.1:6700", "https://node1.example.org:6700");
        fs::write(&file, &text).unwrap();
        let tls = Some(TlsKind::SelfSigned);
        let said = init(&file, &BTreeMap::new(), tls).await.unwrap();
        assert!(said.contains("node1.example.org, localhost"), "{said}");
        let load = |file: &Path| {
            Config::load(file, &BTreeMap::new(), Purpose::Tool)
                .unwrap()
                .config
        };
        let set = load(&file).api.tls.unwrap();
        assert_eq!(
            (&set.certificate, &set.key),
            (&at("api.crt"), &at("api.key"))
        );
        for made in [&set.certificate, &set.key] {
            let mode = fs::metadata(made).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", made.display());
        }
        let before = fs::read(&set.key).unwrap();
        let said = init(&file, &BTreeMap::new(), tls).await.unwrap();
        assert!(said.contains("already"), "{said}");
        assert_eq!(fs::read(&set.key).unwrap(), before);
        fs::remove_file(&set.certificate).unwrap();
        let said = init(&file, &BTreeMap::new(), tls).await.unwrap();
        assert!(said.contains("which is not there"), "{said}");
    }
}
