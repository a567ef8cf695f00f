//! Folders of samples, one file each, in any format that can be a sample (`format.rs`).
//!
//! Flat, or one folder a class, or `train/` and `val/` of either. Files are listed when the dataset is opened and decoded when a batch
//! needs them. The order is that of sorted names, classes first, so it is the same on every run. What is no data is left out
//! (`listing.rs`), and its owner is told.

mod listing;

use std::path::{Path, PathBuf};

use super::format::{self, Scale};
use super::rows::{Depth, Rows};
use crate::failure::Failure;
use delta_domain::manifest::{DataField, Part};
use delta_domain::tensor::{Tensor, TensorData, element_count};
use listing::{Listing, list};

pub(super) use listing::root_split;

pub(super) struct Folder {
    files: Vec<(PathBuf, Option<i64>)>,
    shape: Vec<usize>,
    /// Samples in front of these: those of `train/`, where these are `val/`.
    before: usize,
}

impl Folder {
    pub(super) fn open(
        root: &Path,
        shape: &[usize],
        classes: &[String],
        part: Option<Part>,
    ) -> Result<Self, Failure> {
        // Classes may be called so, too.
        let classes_of_that_name = ["train", "val"]
            .iter()
            .all(|n| classes.iter().any(|c| c == n));
        let split = root_split(root)?.is_some() && !classes_of_that_name;
        let parts = match part {
            Some(_) if !split => {
                return Err(Failure::corrupt(
                    "the task reads its train/ or val/ part, which it does not have",
                ));
            }
            Some(Part::Train) => vec![root.join("train")],
            Some(Part::Val) => vec![root.join("val")],
            None if split => vec![root.join("train"), root.join("val")],
            None => vec![root.to_owned()],
        };
        let mut found = Listing::default();
        for folder in parts {
            list(root, &folder, classes, &mut found)?;
        }
        let mut before = Listing::default();
        if part == Some(Part::Val) {
            list(root, &root.join("train"), classes, &mut before)?;
        }
        Ok(Self {
            files: found.files,
            shape: shape.to_vec(),
            before: before.files.len(),
        })
    }
}

impl Rows for Folder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn first(&self) -> usize {
        self.before
    }

    /// The first sample is decoded; of all others the head is read, and whether their end is there.
    fn inspect(&mut self, depth: Depth) -> Result<(), Failure> {
        self.read(&DataField::X, &[0])?;
        if depth == Depth::Names {
            return Ok(());
        }
        let mut scale: Option<(Scale, &Path)> = None;
        for (path, _) in &self.files {
            let within = |f: Failure| f.within(&path.display().to_string());
            let Some(found) = format::fits(path, &self.shape).map_err(within)? else {
                continue;
            };
            let (before, first) = scale.get_or_insert((found, path));
            if *before != found {
                return Err(Failure::corrupt(format!(
                    "the pixels of {} are 0 to {before}, those of {} 0 to {found}; save all with 8 bits or all with 16",
                    first.display(),
                    path.display()
                )));
            }
        }
        Ok(())
    }

    fn read(&mut self, field: &DataField, rows: &[usize]) -> Result<Tensor, Failure> {
        let files = rows.iter().map(|&r| {
            self.files
                .get(r)
                .ok_or_else(|| Failure::internal(format!("row {r} of {}", self.files.len())))
        });
        let (shape, data) = match field {
            DataField::X => {
                let mut shape = vec![rows.len()];
                shape.extend(&self.shape);
                let mut data = Vec::with_capacity(element_count(&shape).unwrap_or(0));
                for file in files {
                    let (path, _) = file?;
                    format::sample(path, &self.shape, &mut data)
                        .map_err(|f| f.within(&path.display().to_string()))?;
                }
                (shape, TensorData::F32(data))
            }
            DataField::Y => {
                let labels = files.map(|f| {
                    f.and_then(|(_, label)| {
                        label.ok_or_else(|| Failure::corrupt("the samples have no labels"))
                    })
                });
                (
                    vec![rows.len()],
                    TensorData::I64(labels.collect::<Result<_, _>>()?),
                )
            }
            DataField::Columns(_) | DataField::ColumnsF32(_) | DataField::ColumnI64(_) => {
                return Err(Failure::rejected("samples have no columns"));
            }
        };
        Tensor::new(shape, data).map_err(|e| Failure::internal(e.to_string()))
    }
}

/// What a folder holds, as a task would find it that asks for nothing but what is there.
pub(super) struct Counted {
    pub(super) samples: usize,
    pub(super) classes: usize,
    /// Names of what is no data.
    pub(super) left_out: Vec<String>,
}

/// How many samples and classes a folder has.
///
/// # Errors
/// What no task could read.
pub(super) fn counted(root: &Path, folder: &Path) -> Result<Counted, Failure> {
    let mut found = Listing::default();
    list(root, folder, &[], &mut found)?;
    for (path, _) in &found.files {
        format::is_sample(path).map_err(|f| f.within(&path.display().to_string()))?;
    }
    let last = found.files.iter().filter_map(|(_, label)| *label).max();
    Ok(Counted {
        samples: found.files.len(),
        classes: last.map_or(0, |label| usize::try_from(label).unwrap_or(0) + 1),
        left_out: found.left_out,
    })
}

#[cfg(test)]
mod tests;
