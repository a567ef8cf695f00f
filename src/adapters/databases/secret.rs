//! Passwords of databases, from where their owner keeps them.

use std::path::Path;

use delta_domain::query::{Query, Secret};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Longest password, in bytes.
const LONGEST: u64 = 4096;

/// The password of a query; `None` where there is none.
pub(crate) fn password(query: &Query) -> Result<Option<Zeroizing<String>>, Failure> {
    match &query.secret {
        Secret::None => Ok(None),
        Secret::File(path) => from_file(path).map(Some),
        Secret::Variable(name) => match std::env::var(name) {
            Ok(password) => Ok(Some(Zeroizing::new(password))),
            Err(_) => Err(Failure::rejected(format!(
                "password_env names {name}, and this node has no such environment variable"
            ))),
        },
    }
}

/// All of a file but the end of its line.
fn from_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let wrong = |e: &std::io::Error| Failure::io("read the password_file", path, e);
    let length = std::fs::metadata(path).map_err(|e| wrong(&e))?.len();
    if length > LONGEST {
        return Err(Failure::rejected(format!(
            "password_file {} has {length} bytes: it must hold the password and nothing else",
            path.display()
        )));
    }
    let mut text = Zeroizing::new(std::fs::read_to_string(path).map_err(|e| wrong(&e))?);
    while text.ends_with(['\n', '\r']) {
        text.pop();
    }
    if text.is_empty() || text.contains('\n') {
        return Err(Failure::rejected(format!(
            "password_file {} must hold the password, in one line",
            path.display()
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_the_password_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let read = |content: &str| {
            let path = dir.path().join("p");
            std::fs::write(&path, content).unwrap();
            from_file(&path).map(|p| p.as_str().to_owned())
        };
        assert_eq!(read("s3cret \n").unwrap(), "s3cret ");
        assert_eq!(read("s3cret\r\n").unwrap(), "s3cret");
        for bad in ["", "\n", "a\nb", &"a".repeat(5000)] {
            assert!(read(bad).is_err());
        }
        assert!(from_file(&dir.path().join("none")).is_err());
    }
}
