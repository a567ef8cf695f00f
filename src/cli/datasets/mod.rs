//! `get-*`: the example datasets. Small ones are in the program, MNIST is fetched.
//!
//! Names and forms are the original's, so that its tutorials find them. What is already there is kept unless `--force` says otherwise
//! (the original overwrites).

mod mnist;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::assets::Table;

pub(crate) use mnist::{MNIST_URL, MnistOptions, put_mnist};

/// Writes a built-in table into `data_dir` and says what was done.
///
/// # Errors
/// The directory or the file cannot be written.
pub(crate) fn put(table: Table, data_dir: &Path, force: bool) -> anyhow::Result<String> {
    let file = data_dir.join(table.name);
    if file.exists() && !force {
        return Ok(kept(&file));
    }
    fs::create_dir_all(data_dir)
        .with_context(|| format!("cannot make the directory {}", data_dir.display()))?;
    // Written aside and renamed, so that a task never reads half a file.
    let mut new = tempfile::NamedTempFile::new_in(data_dir)
        .with_context(|| format!("cannot write into {}", data_dir.display()))?;
    new.write_all(table.bytes)?;
    new.persist(&file)
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(format!("wrote {}", file.display()))
}

fn kept(path: &Path) -> String {
    format!(
        "{} is already there and was kept; --force replaces it",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::put;
    use crate::assets::IRIS;

    #[test]
    fn a_dataset_is_written_once_and_replaced_only_by_force() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("data");
        assert!(put(IRIS, &dir, false).unwrap().starts_with("wrote"));
        std::fs::write(dir.join("iris.csv"), "mine").unwrap();
        assert!(put(IRIS, &dir, false).unwrap().contains("was kept"));
        assert_eq!(std::fs::read(dir.join("iris.csv")).unwrap(), b"mine");
        put(IRIS, &dir, true).unwrap();
        assert_eq!(std::fs::read(dir.join("iris.csv")).unwrap(), IRIS.bytes);
        assert_eq!(
            std::fs::read_dir(&dir).unwrap().count(),
            1,
            "no temporary file stays"
        );
    }
}
