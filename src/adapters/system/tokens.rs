//! The node's tokens on disk: a file with the digests of all, and a file with the one token that the node makes for itself.
//!
//! Both are for the node's user only (mode 0600). Whoever changes the list puts a whole new file in the place of the old one, under a
//! lock, so that the command line and a running node never see half of it; a node reads it again when it has changed.
//! The own token is not on the list: its file is. Removing the file revokes it, and the next start makes another.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::files::{TempFile, blocking, check_private, io_error, is_absent, make_folder};
use delta_domain::access::{BookError, Scope, Token, TokenBook, TokenName, TokenSecret};
use delta_domain::time::Timestamp;
use delta_ports::entropy::Entropy;
use delta_ports::tokens::TokenStore;
use delta_ports::{PortError, PortErrorKind};

/// Longest list that is read: more than [`TokenBook::MOST`] tokens need.
const MAX_LIST: u64 = 1 << 20;
/// Longest file with one token.
const MAX_TOKEN: u64 = 1024;

/// The list of tokens in a file, and the own token in another.
#[derive(Debug)]
pub struct FileTokens {
    place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    list: PathBuf,
    own: PathBuf,
    read: Mutex<Option<(Stamps, Arc<TokenBook>)>>,
}

/// What tells a file from the one that was there before: of the list, and of the own token.
type Stamps = [Option<[i64; 4]>; 2];

/// The list as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    tokens: TokenBook,
}

impl FileTokens {
    /// Those of `list`, which may not be there yet, and the one in `own`, if it is there.
    #[must_use]
    pub fn new(list: PathBuf, own: PathBuf) -> Self {
        Self {
            place: Arc::new(Place {
                list,
                own,
                read: Mutex::new(None),
            }),
        }
    }

    async fn change<T: Send + 'static>(
        &self,
        op: &'static str,
        change: impl FnOnce(&mut TokenBook) -> Result<T, BookError> + Send + 'static,
    ) -> Result<T, PortError> {
        let place = self.place.clone();
        blocking(op, move || {
            let list = &place.list;
            let cannot = |act| move |e| io_error(op, act, list, e);
            let folder = list.parent().unwrap_or(Path::new(""));
            make_folder(folder).map_err(cannot("make the folder of"))?;
            let _held = hold(list).map_err(cannot("lock"))?;
            let mut book = read_list(op, list)?;
            let changed = change(&mut book)
                .map_err(|e| PortError::new(PortErrorKind::Rejected, op, e.to_string()))?;
            let written = Written {
                format: 1,
                tokens: book,
            };
            let text = serde_json::to_vec_pretty(&written).map_err(|e| {
                let text = "the list of tokens cannot be written";
                PortError::new(PortErrorKind::Internal, op, text).with_source(e)
            })?;
            let write = || {
                let mut temp = TempFile::create(folder)?;
                temp.file().write_all(&text)?;
                temp.persist(list)
            };
            write().map_err(cannot("write"))?;
            Ok(changed)
        })
        .await
    }
}

#[async_trait]
impl TokenStore for FileTokens {
    async fn tokens(&self) -> Result<Arc<TokenBook>, PortError> {
        let place = self.place.clone();
        blocking("tokens.read", move || place.now()).await
    }

    async fn add(&self, token: Token) -> Result<(), PortError> {
        self.change("tokens.add", move |book| {
            if token.name == TokenName::own() {
                return Err(BookError::NameTaken(token.name));
            }
            book.add(token)
        })
        .await
    }

    async fn revoke(&self, name: &TokenName) -> Result<bool, PortError> {
        if *name == TokenName::own() {
            let place = self.place.clone();
            return blocking("tokens.revoke", move || {
                match std::fs::remove_file(&place.own) {
                    Ok(()) => Ok(true),
                    Err(e) if is_absent(&e) => Ok(false),
                    Err(e) => Err(io_error("tokens.revoke", "remove", &place.own, e)),
                }
            })
            .await;
        }
        let name = name.clone();
        self.change("tokens.revoke", move |book| Ok(book.revoke(&name)))
            .await
    }
}

impl Place {
    fn now(&self) -> Result<Arc<TokenBook>, PortError> {
        const OP: &str = "tokens.read";
        let stamps = [stamp(OP, &self.list)?, stamp(OP, &self.own)?];
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, book)) = &*read
            && *seen == stamps
        {
            return Ok(book.clone());
        }
        let mut book = read_list(OP, &self.list)?;
        if let Some(secret) = read_token_file(OP, &self.own)? {
            let own = Token {
                name: TokenName::own(),
                scopes: Scope::ALL.into_iter().collect(),
                digest: secret.digest(),
                created_at: Timestamp::default(),
                expires_at: None,
            };
            book.add(own)
                .map_err(|e| PortError::new(PortErrorKind::Corrupt, OP, e.to_string()))?;
        }
        let book = Arc::new(book);
        // Stamped before it was read: a file that changed in between is read once more.
        *read = Some((stamps, book.clone()));
        Ok(book)
    }
}

/// The token in the file at `path`; `None` when there is no such file.
///
/// # Errors
/// `Denied` when other users can read it or this one cannot; `Corrupt` when it holds no token.
pub async fn read_token(path: &Path) -> Result<Option<TokenSecret>, PortError> {
    let path = path.to_owned();
    blocking("token.read", move || read_token_file("token.read", &path)).await
}

/// Reads the own token, or makes it when there is no such file. Two processes that start together agree on one.
///
/// # Errors
/// As [`read_token`], or the file cannot be made.
pub async fn load_or_create_own_token(
    path: &Path,
    entropy: &dyn Entropy,
) -> Result<TokenSecret, PortError> {
    const OP: &str = "own_token.load";
    let fresh = TokenSecret::draw(&mut entropy.rng()?);
    let path = path.to_owned();
    blocking(OP, move || {
        if let Some(there) = read_token_file(OP, &path)? {
            return Ok(there);
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let make = || {
            make_folder(folder)?;
            let mut temp = TempFile::create(folder)?;
            temp.file().write_all(fresh.text().as_bytes())?;
            temp.file().write_all(b"\n")?;
            temp.persist_new(&path)
        };
        match make() {
            Ok(()) => Ok(fresh),
            // Somebody was faster: theirs is the token.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                read_token_file(OP, &path)?.ok_or_else(|| io_error(OP, "read", &path, e))
            }
            Err(e) => Err(io_error(OP, "make the node's own token", &path, e)),
        }
    })
    .await
}

fn read_token_file(op: &'static str, path: &Path) -> Result<Option<TokenSecret>, PortError> {
    let Some(bytes) = read_private(op, "token", path, MAX_TOKEN)? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let secret = text.trim().parse().map_err(|e| {
        let text = format!("{} holds no token", path.display());
        PortError::new(PortErrorKind::Corrupt, op, text).with_source(e)
    })?;
    Ok(Some(secret))
}

fn read_list(op: &'static str, path: &Path) -> Result<TokenBook, PortError> {
    let Some(bytes) = read_private(op, "list of tokens", path, MAX_LIST)? else {
        return Ok(TokenBook::default());
    };
    let corrupt = |why: String| {
        let text = format!(
            "the list of tokens {} cannot be read ({why}): restore it, or remove it and make new tokens",
            path.display()
        );
        PortError::new(PortErrorKind::Corrupt, op, text)
    };
    let written: Written = serde_json::from_slice(&bytes).map_err(|e| corrupt(e.to_string()))?;
    if written.format != 1 {
        return Err(corrupt(format!("its format is {}", written.format)));
    }
    let mut book = TokenBook::default();
    for token in written.tokens.tokens() {
        book.add(token.clone())
            .map_err(|e| corrupt(e.to_string()))?;
    }
    Ok(book)
}

/// A file with a secret, whole; `None` when there is none.
fn read_private(
    op: &'static str,
    what: &str,
    path: &Path,
    limit: u64,
) -> Result<Option<Zeroizing<Vec<u8>>>, PortError> {
    let cannot = |e| io_error(op, &format!("read the {what}"), path, e);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if is_absent(&e) => return Ok(None),
        Err(e) => return Err(cannot(e)),
    };
    check_private(op, what, path, &file)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > limit {
        let text = format!("{} is longer than {limit} bytes", path.display());
        return Err(PortError::new(PortErrorKind::Corrupt, op, text));
    }
    Ok(Some(bytes))
}

fn stamp(op: &'static str, path: &Path) -> Result<Option<[i64; 4]>, PortError> {
    match std::fs::metadata(path) {
        Ok(m) => Ok(Some([
            m.ino().cast_signed(),
            m.len().cast_signed(),
            m.ctime(),
            m.ctime_nsec(),
        ])),
        Err(e) if is_absent(&e) => Ok(None),
        Err(e) => Err(io_error(op, "look at", path, e)),
    }
}

/// Waits for whoever else changes the list.
fn hold(list: &Path) -> io::Result<File> {
    let name = list.file_name().unwrap_or_default().to_string_lossy();
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(list.with_file_name(format!(".{name}.lock")))?;
    lock.lock()?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::SystemEntropy;

    const NOW: Timestamp = Timestamp(5);

    fn drawn() -> TokenSecret {
        TokenSecret::draw(&mut SystemEntropy.rng().unwrap())
    }

    fn token(name: &str, secret: &TokenSecret) -> Token {
        Token {
            name: name.parse().unwrap(),
            scopes: [Scope::Read].into(),
            digest: secret.digest(),
            created_at: NOW,
            expires_at: None,
        }
    }

    fn at(folder: &Path) -> FileTokens {
        FileTokens::new(folder.join("tokens.json"), folder.join("node.token"))
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_running_node_sees_what_the_command_line_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (node, cli) = (at(dir.path()), at(dir.path()));
        assert!(node.tokens().await.unwrap().tokens().is_empty());
        let secret = drawn();
        cli.add(token("a", &secret)).await.unwrap();
        let seen = node.tokens().await.unwrap();
        assert!(seen.judge(&secret, Scope::Read, NOW).is_ok());
        assert!(Arc::ptr_eq(&seen, &node.tokens().await.unwrap()));
        let file = dir.path().join("tokens.json");
        assert_eq!(mode(&file), 0o600);
        let text = fs::read_to_string(file).unwrap();
        assert!(
            !text.contains(&secret.text()[6..]),
            "only the digest is kept"
        );
        assert!(cli.revoke(&"a".parse().unwrap()).await.unwrap());
        assert!(!cli.revoke(&"a".parse().unwrap()).await.unwrap());
        assert!(node.tokens().await.unwrap().tokens().is_empty());
    }

    #[tokio::test]
    async fn the_own_token_is_made_once_and_opens_everything_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.token");
        let own = load_or_create_own_token(&path, &SystemEntropy)
            .await
            .unwrap();
        let again = load_or_create_own_token(&path, &SystemEntropy)
            .await
            .unwrap();
        let read = read_token(&path).await.unwrap().unwrap();
        assert!([again, read].iter().all(|t| t.digest() == own.digest()));
        assert_eq!(mode(&path), 0o600);
        let tokens = at(dir.path());
        let book = tokens.tokens().await.unwrap();
        assert!(Scope::ALL.iter().all(|s| book.judge(&own, *s, NOW).is_ok()));
        let taken = tokens.add(token("own", &drawn())).await.unwrap_err();
        assert_eq!(taken.kind(), PortErrorKind::Rejected);
        assert!(tokens.revoke(&TokenName::own()).await.unwrap());
        let book = tokens.tokens().await.unwrap();
        assert!(book.judge(&own, Scope::Read, NOW).is_err());
        assert!(read_token(&path).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_others_can_read_or_nobody_can_is_an_error_and_no_empty_list() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = at(dir.path());
        tokens.add(token("a", &drawn())).await.unwrap();
        let file = dir.path().join("tokens.json");
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let error = tokens.tokens().await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Denied);
        assert!(error.message().contains("chmod 600"), "{error}");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        for damaged in ["", "{}", r#"{"format":2,"tokens":[]}"#, "[]"] {
            fs::write(&file, damaged).unwrap();
            let error = tokens.tokens().await.unwrap_err();
            assert_eq!(error.kind(), PortErrorKind::Corrupt, "{damaged}");
            let error = tokens.add(token("b", &drawn())).await.unwrap_err();
            assert_eq!(error.kind(), PortErrorKind::Corrupt, "{damaged}");
        }
        let own = dir.path().join("node.token");
        fs::write(&own, "nothing").unwrap();
        fs::set_permissions(&own, Permissions::from_mode(0o600)).unwrap();
        let error = read_token(&own).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Corrupt);
    }
}
