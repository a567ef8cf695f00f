//! A dataset in plain words, for the dashboard and `check`.

use std::path::Path;

use super::{extension, folder, npy, table};
use crate::failure::Failure;

/// Lines counted at most: a summary must not read a huge file whole.
const LINES: usize = 1_000_000;

/// What a file or folder is, or why it is nothing that tasks can read.
pub(crate) fn describe(path: &Path) -> String {
    let described = if path.is_dir() {
        directory(path)
    } else if table::is_table(path) {
        table::size(path, LINES).map(|(columns, rows)| {
            let rows = if rows < LINES {
                rows.to_string()
            } else {
                format!("more than {LINES}")
            };
            format!("table, {rows} rows, {columns} columns")
        })
    } else {
        match extension(path).as_str() {
            "npy" | "npz" => arrays(path),
            "png" | "jpg" | "jpeg" | "bmp" => Ok("image".to_owned()),
            other => Err(Failure::corrupt(format!(
                "files ending in {other:?} are not read by tasks"
            ))),
        }
    };
    described.unwrap_or_else(|f| format!("unusable: {f}"))
}

fn arrays(path: &Path) -> Result<String, Failure> {
    let names = if extension(path) == "npz" {
        npy::names(path)
    } else {
        vec![String::new()]
    };
    let mut parts = Vec::new();
    for name in names.iter().take(4) {
        if extension(path) == "npz" {
            // Expanding an archive only to show its shapes is not worth it.
            parts.push(name.clone());
        } else if let Some(array) = npy::open(path, &[])? {
            parts.push(format!("shape {:?}", array.shape()));
        }
    }
    Ok(format!(
        "{}, {}",
        if parts.len() == 1 { "array" } else { "arrays" },
        parts.join(", ")
    ))
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
