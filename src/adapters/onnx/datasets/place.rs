//! Where a dataset lies.

use std::path::{Path, PathBuf};

use super::format::dataset_endings;
use crate::failure::Failure;
use delta_domain::ids::DatasetName;

/// The path of a dataset inside `root`, which must be canonical: the file or folder of that name, or else the one file that has it
/// before its ending (`digits` finds `digits.npz`).
///
/// # Errors
/// `NotFound` when there is no such file, several could be meant, or it is a link that leads out of `root`.
pub(crate) fn locate(root: &Path, name: &DatasetName) -> Result<PathBuf, Failure> {
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
            "dataset {name} is a link that leads out of {}; copy the data or change data_dir",
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
            locate(&root, &name.parse().unwrap()).map(|p| p.file_name().unwrap().to_owned())
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
        }
    }
}
