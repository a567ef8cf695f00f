//! A dataset in plain words, for the dashboard and `check`.

use std::path::Path;

use super::{folder, format};
use crate::failure::Failure;

/// What a file or folder is, or why it is nothing that tasks can read.
pub(crate) fn describe(path: &Path) -> String {
    let described = if path.is_dir() {
        directory(path)
    } else {
        format::describe(path)
    };
    described.unwrap_or_else(|f| format!("unusable: {f}"))
}

fn directory(path: &Path) -> Result<String, Failure> {
    if folder::is_split(path)? {
        return Ok(format!(
            "folder with train ({}) and val ({})",
            one(path, &path.join("train"))?,
            one(path, &path.join("val"))?
        ));
    }
    one(path, path)
}

fn one(root: &Path, path: &Path) -> Result<String, Failure> {
    match folder::counted(root, path)? {
        (0, _) => Err(Failure::corrupt("there are no samples in it")),
        (samples, 0) => Ok(format!("{samples} samples")),
        (samples, classes) => Ok(format!("{samples} samples in {classes} classes")),
    }
}
