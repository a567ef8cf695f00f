//! `get-*`: the example datasets. Small ones are in the program, MNIST is fetched.
//!
//! Names and forms are the original's, so that its tutorials find them. What is already there is kept unless `--force` says otherwise
//! (the original overwrites).

mod mnist;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

pub(crate) use mnist::{MNIST_URL, MnistOptions, put_mnist};

/// A dataset that is part of the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dataset {
    /// File name in the data directory.
    pub(crate) name: &'static str,
    pub(crate) bytes: &'static [u8],
}

/// Fisher's iris flowers.
pub(crate) const IRIS: Dataset = Dataset {
    name: "iris.csv",
    bytes: include_bytes!("../../assets/iris.csv"),
};

/// Spector and Mazzeo's economics course.
pub(crate) const SPECTOR: Dataset = Dataset {
    name: "spector.csv",
    bytes: include_bytes!("../../assets/spector.csv"),
};

/// A column of wages.
pub(crate) const WAGES: Dataset = Dataset {
    name: "wages.csv",
    bytes: include_bytes!("../../assets/wages.csv"),
};

/// Writes a dataset into `data_dir` and says what was done.
///
/// # Errors
/// The directory or the file cannot be written.
pub(crate) fn put(set: Dataset, data_dir: &Path, force: bool) -> anyhow::Result<String> {
    let file = data_dir.join(set.name);
    if file.exists() && !force {
        return Ok(kept(&file));
    }
    fs::create_dir_all(data_dir)
        .with_context(|| format!("cannot make the directory {}", data_dir.display()))?;
    // Written aside and renamed, so that a task never reads half a file.
    let mut new = tempfile::NamedTempFile::new_in(data_dir)
        .with_context(|| format!("cannot write into {}", data_dir.display()))?;
    new.write_all(set.bytes)?;
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
    use super::{IRIS, SPECTOR, WAGES, put};

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

    #[test]
    fn the_built_in_tables_have_a_header_and_rectangular_rows() {
        for set in [IRIS, SPECTOR, WAGES] {
            let text = std::str::from_utf8(set.bytes).unwrap();
            let columns: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
            assert!(
                columns.len() > 1 && columns.iter().all(|n| *n == columns[0]),
                "{}",
                set.name
            );
        }
    }
}
