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
            one(&path.join("train"))?,
            one(&path.join("val"))?
        ));
    }
    one(path)
}

fn one(path: &Path) -> Result<String, Failure> {
    let classes = folder::classes_in(path)?;
    let count = |p: &Path| std::fs::read_dir(p).map_or(0, Iterator::count);
    if classes.is_empty() {
        return Ok(format!("{} samples", count(path)));
    }
    let samples: usize = classes.iter().map(|c| count(&path.join(c))).sum();
    Ok(format!("{samples} samples in {} classes", classes.len()))
}
