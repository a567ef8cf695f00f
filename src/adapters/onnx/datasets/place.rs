//! Where a dataset lies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::format::{self, dataset_endings};
use crate::failure::Failure;
use delta_domain::dialect::Dialect;
use delta_domain::ids::DatasetName;

/// A dataset's file or folder, and what its owner says about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Located {
    pub(crate) path: PathBuf,
    pub(crate) dialect: Dialect,
    /// The digest of its query, where it is the answer of a database. The file may still be the answer to the one before.
    pub(crate) answer_to: Option<String>,
}

impl Located {
    /// Whether it is what its owner says: nobody reads the answer to another query than theirs.
    ///
    /// # Errors
    /// `NotFound` while the query was not asked yet.
    pub(super) fn is_answered(&self) -> Result<(), Failure> {
        let Some(query) = &self.answer_to else {
            return Ok(());
        };
        match format::answered(&self.path)?.as_ref() == Some(query) {
            true => Ok(()),
            false => Err(Failure::not_found(
                "it is a query to a database that was not asked yet",
            )),
        }
    }
}

/// What an owner says of datasets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    /// How files are written.
    pub(crate) dialects: BTreeMap<DatasetName, Dialect>,
    /// Datasets that have rules: these hold for the file, whatever a task calls it.
    pub(crate) ruled: BTreeSet<DatasetName>,
    /// Datasets that are queries, and the digest of each.
    pub(crate) queries: BTreeMap<DatasetName, String>,
}

/// The path of a dataset inside `root`, which must be canonical: the file or folder of that name, or else the one file that has it
/// before its ending (`digits` finds `digits.npz`).
///
/// # Errors
/// `NotFound` when there is no such file, several could be meant, or it is a link that leads out of `root`. A path that the owner has set
/// may lead anywhere.
pub(crate) fn locate(root: &Path, name: &DatasetName, said: &Said) -> Result<Located, Failure> {
    let dialects = &said.dialects;
    let named = dialects.get(name);
    let path = match named.and_then(|d| d.path.as_ref()) {
        Some(path) => Path::new(path).canonicalize().map_err(|e| {
            Failure::not_found(format!(
                "dataset {name} cannot be opened at {path}, where the setting `path` says it is: {e}"
            ))
        })?,
        None => inside(root, name)?,
    };
    // A task may leave out an ending, or take another way to the file: what is said of it counts all the same.
    let own = path.file_name().and_then(|n| n.to_str()?.parse().ok());
    let own = own.filter(|own| path.parent() == Some(root) && own != name);
    let of_file = own.as_ref().and_then(|own: &DatasetName| dialects.get(own));
    if let Some(own) = own.as_ref().filter(|own| said.ruled.contains(*own)) {
        return Err(Failure::not_found(format!(
            "dataset {name} is {own}, which has rules under that name; a task must ask for it by that name"
        )));
    }
    // And what is said of a dataset whose file lies here by its owner's word.
    let same = |d: &Dialect| {
        let there = d.path.as_ref().map(|p| Path::new(p).canonicalize());
        there.is_some_and(|there| there.is_ok_and(|there| there == path))
    };
    if let Some((other, _)) = dialects.iter().find(|(other, d)| *other != name && same(d)) {
        return Err(Failure::not_found(format!(
            "dataset {name} is the file that its owner calls {other}; a task must ask for it by that name"
        )));
    }
    let dialect = match (named, of_file) {
        (Some(named), Some(other)) if named != other => {
            return Err(Failure::not_found(format!(
                "dataset {name} is the file {}, and what is said about the two differs; say the same, or remove one",
                path.display()
            )));
        }
        (named, other) => named.or(other).cloned().unwrap_or_default(),
    };
    let answer_to = said.queries.get(own.as_ref().unwrap_or(name)).cloned();
    Ok(Located {
        path,
        dialect,
        answer_to,
    })
}

fn inside(root: &Path, name: &DatasetName) -> Result<PathBuf, Failure> {
    let mut path = root.join(name.as_str());
    if path.symlink_metadata().is_err() {
        let mut longer = dataset_endings()
            .map(|e| root.join(format!("{name}.{e}")))
            .filter(|p| p.is_file());
        if let (Some(only), None) = (longer.next(), longer.next()) {
            path = only;
        }
    }
    let real = path.canonicalize().map_err(|_| {
        Failure::not_found(format!(
            "there is no dataset {name} in {}; put the file or folder there",
            root.display()
        ))
    })?;
    if !real.starts_with(root) || real == root {
        return Err(Failure::not_found(format!(
            "dataset {name} is a link that leads out of {}; set where it lies: `datasets: {{ {name}: {{ path: ... }} }}`, or copy the data",
            root.display()
        )));
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_files_inside_the_data_folder_only() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let find = |name: &str| {
            locate(&root, &name.parse().unwrap(), &Said::default())
                .map(|p| p.path.file_name().unwrap().to_owned())
        };
        std::fs::write(root.join("a.npz"), b"").unwrap();
        assert_eq!(find("a.npz").unwrap(), "a.npz");
        assert_eq!(find("a").unwrap(), "a.npz");
        std::fs::write(root.join("a.csv"), b"").unwrap();
        assert!(find("a").is_err(), "two files could be meant");
        std::fs::create_dir(root.join("a")).unwrap();
        assert_eq!(find("a").unwrap(), "a", "the exact name comes first");
        assert!(find("b").is_err());
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/etc/passwd", root.join("passwd.csv")).unwrap();
            assert!(
                find("passwd.csv")
                    .unwrap_err()
                    .message
                    .contains("leads out")
            );
            std::os::unix::fs::symlink("a.csv", root.join("alias.csv")).unwrap();
            assert_eq!(find("alias.csv").unwrap(), "a.csv");
            // What is said about a file counts under every name that leads to it.
            let said = Dialect {
                missing: vec!["-99".into()],
                ..Dialect::default()
            };
            let mut all = Said::default();
            all.dialects.insert("a.csv".parse().unwrap(), said.clone());
            let alias: DatasetName = "alias.csv".parse().unwrap();
            assert_eq!(locate(&root, &alias, &all).unwrap().dialect, said);
            all.dialects.insert(alias.clone(), Dialect::default());
            assert!(locate(&root, &alias, &all).is_err());
            // Rules under the file's own name are not passed by.
            let mut ruled = Said::default();
            ruled.ruled.insert("a.csv".parse().unwrap());
            assert!(locate(&root, &alias, &ruled).is_err());
            assert!(locate(&root, &"a.csv".parse().unwrap(), &ruled).is_ok());
            // Where its owner says that it lies there, it is read.
            let name: DatasetName = "passwd.csv".parse().unwrap();
            let said = Dialect {
                path: Some("/etc/passwd".into()),
                ..Dialect::default()
            };
            let mut all = Said::default();
            all.dialects.insert(name.clone(), said);
            let found = locate(&root, &name, &all).unwrap();
            assert_eq!(found.path, Path::new("/etc/passwd"));
            let mut elsewhere = Said::default();
            let said = Dialect {
                path: Some(root.join("a.csv").display().to_string()),
                ..Dialect::default()
            };
            elsewhere.dialects.insert("visits".parse().unwrap(), said);
            let by = |name: &str| locate(&root, &name.parse().unwrap(), &elsewhere);
            assert!(by("visits").is_ok());
            assert!(by("a.csv").is_err() && by("alias.csv").is_err());
        }
    }
}
