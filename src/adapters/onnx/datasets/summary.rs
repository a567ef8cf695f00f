//! A dataset in plain words, for the dashboard and `check`.

use std::path::Path;

use super::{Located, folder, format};
use crate::failure::Failure;

/// Names of what is left out that a description tells.
const LEFT_OUT: usize = 3;

/// What a file or folder is, or why it is nothing that tasks can read.
pub(crate) fn describe(place: &Located) -> String {
    let path = place.path.as_path();
    let described = || match path.is_dir() {
        true => directory(path),
        false => {
            place.is_answered()?;
            format::describe(path, &place.dialect)
        }
    };
    described().unwrap_or_else(|f| format!("unusable: {f}"))
}

fn directory(path: &Path) -> Result<String, Failure> {
    let mut left_out = Vec::new();
    let mut told = match folder::root_split(path)? {
        Some(beside) => {
            left_out.extend(beside);
            let train = one(path, &path.join("train"), &mut left_out)?;
            let val = one(path, &path.join("val"), &mut left_out)?;
            format!("folder with train ({train}) and val ({val})")
        }
        None => one(path, path, &mut left_out)?,
    };
    if !left_out.is_empty() {
        let more = left_out.len().saturating_sub(LEFT_OUT);
        left_out.truncate(LEFT_OUT);
        told.push_str(&format!(", left out: {}", left_out.join(", ")));
        if more > 0 {
            told.push_str(&format!(" and {more} more"));
        }
    }
    Ok(told)
}

fn one(root: &Path, path: &Path, left_out: &mut Vec<String>) -> Result<String, Failure> {
    let counted = folder::counted(root, path)?;
    left_out.extend(counted.left_out);
    match (counted.samples, counted.classes) {
        (0, _) => Err(Failure::corrupt("there are no samples in it")),
        (samples, 0) => Ok(format!("{samples} samples")),
        (samples, classes) => Ok(format!("{samples} samples in {classes} classes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::format::npy_bytes;
    use delta_domain::dialect::Dialect;

    #[test]
    fn folders_say_what_they_leave_out() {
        let dir = tempfile::tempdir().unwrap();
        let told = |name: &str| {
            describe(&Located {
                path: dir.path().join(name),
                dialect: Dialect::default(),
                answer_to: None,
            })
        };
        let sample = npy_bytes("|u1", "(1,)", &[1]);
        for name in ["a/x/1.npy", "b/train/1.npy", "b/val/1.npy", "b/val/2.npy"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &sample).unwrap();
        }
        for name in ["a/README", "a/1.txt", "a/2.txt", "a/3.txt", "b/all.zip"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        assert_eq!(
            told("a"),
            "1 samples in 1 classes, left out: 1.txt, 2.txt, 3.txt and 1 more"
        );
        assert_eq!(
            told("b"),
            "folder with train (1 samples) and val (2 samples), left out: all.zip"
        );
        std::fs::write(dir.path().join("a/x/2.bin"), "x").unwrap();
        let unusable = told("a");
        assert!(
            unusable.starts_with("unusable: ") && unusable.contains("2.bin: it is no sample"),
            "{unusable}"
        );
        assert_eq!(told("a/x/1.npy"), "array, shape [1], uint8");
    }
}
