//! Folders of samples, one file each, in any format that can be a sample (`format.rs`).
//!
//! Flat, or one folder a class, or `train/` and `val/` of either. Files are listed when the dataset is opened and decoded when a batch
//! needs them. The order is that of sorted names, classes first, so it is the same on every run.

use std::path::{Path, PathBuf};

use super::format;
use super::rows::Rows;
use crate::failure::Failure;
use delta_domain::manifest::{DataField, Part};
use delta_domain::tensor::{Tensor, TensorData, element_count};

pub(super) struct Folder {
    files: Vec<(PathBuf, Option<i64>)>,
    shape: Vec<usize>,
    /// Samples in front of these: those of `train/`, where these are `val/`.
    before: usize,
}

/// Most samples of a folder.
const FILES: usize = 20_000_000;

impl Folder {
    pub(super) fn open(
        root: &Path,
        shape: &[usize],
        classes: &[String],
        part: Option<Part>,
    ) -> Result<Self, Failure> {
        let split = is_split(root)?;
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
        let mut files = Vec::new();
        for folder in parts {
            list(root, &folder, classes, &mut files)?;
        }
        let mut before = Vec::new();
        if part == Some(Part::Val) {
            list(root, &root.join("train"), classes, &mut before)?;
        }
        Ok(Self {
            files,
            shape: shape.to_vec(),
            before: before.len(),
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

/// Whether the folder has exactly a `train` and a `val` folder.
pub(super) fn is_split(root: &Path) -> Result<bool, Failure> {
    let names: Vec<String> = entries(root, root)?
        .into_iter()
        .filter(|p| p.is_dir())
        .map(|p| name(&p))
        .collect();
    Ok(names == ["train", "val"])
}

/// How many samples and classes a folder has, as a task would find them that asks for nothing but what is there.
///
/// # Errors
/// What no task could read.
pub(super) fn counted(root: &Path, folder: &Path) -> Result<(usize, usize), Failure> {
    let mut files = Vec::new();
    list(root, folder, &[], &mut files)?;
    for (path, _) in &files {
        format::is_sample(path).map_err(|f| f.within(&path.display().to_string()))?;
    }
    let last = files.iter().filter_map(|(_, label)| *label).max();
    let classes = last.map_or(0, |label| usize::try_from(label).unwrap_or(0) + 1);
    Ok((files.len(), classes))
}

/// The samples of one folder: labelled when it has class folders.
fn list(
    root: &Path,
    folder: &Path,
    classes: &[String],
    files: &mut Vec<(PathBuf, Option<i64>)>,
) -> Result<(), Failure> {
    let (folders, plain): (Vec<PathBuf>, Vec<PathBuf>) =
        entries(root, folder)?.into_iter().partition(|p| p.is_dir());
    if folders.is_empty() {
        if !classes.is_empty() {
            return Err(Failure::corrupt(format!(
                "the task expects one folder a class, named {classes:?}; there are files only"
            )));
        }
        files.extend(plain.into_iter().map(|p| (p, None)));
        return bounded(files);
    }
    if let Some(file) = plain.first() {
        return Err(Failure::corrupt(format!(
            "it mixes class folders and files ({}); move the files into a folder",
            file.display()
        )));
    }
    let found: Vec<String> = folders.iter().map(|p| name(p)).collect();
    for (index, folder) in folders.iter().enumerate() {
        let label = if classes.is_empty() {
            Some(index)
        } else {
            classes.iter().position(|c| *c == name(folder))
        };
        let label = label.ok_or_else(|| {
            Failure::corrupt(format!("it has the class folders {found:?}, the task expects {classes:?}; {:?} is not among them", name(folder)))
        })?;
        let label = i64::try_from(label).map_err(|_| Failure::internal("too many classes"))?;
        for file in entries(root, folder)? {
            if file.is_dir() {
                return Err(Failure::corrupt(format!(
                    "{} is a folder inside a class folder",
                    file.display()
                )));
            }
            files.push((file, Some(label)));
        }
        bounded(files)?;
    }
    Ok(())
}

fn bounded(files: &[(PathBuf, Option<i64>)]) -> Result<(), Failure> {
    if files.len() > FILES {
        Err(Failure::exhausted(format!(
            "it has more than {FILES} samples"
        )))
    } else {
        Ok(())
    }
}

/// Whether a name is a hidden file's, or of what Windows, macOS, NAS and file systems leave in every folder.
fn is_litter(name: &str) -> bool {
    const LITTER: [&str; 7] = [
        "thumbs.db",
        "desktop.ini",
        "@eadir",
        "__macosx",
        "$recycle.bin",
        "system volume information",
        "lost+found",
    ];
    name.starts_with('.') || LITTER.contains(&name.to_ascii_lowercase().as_str())
}

/// Sorted contents, without hidden files and litter. A link must stay inside `root`.
fn entries(root: &Path, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let here = |e: std::io::Error| Failure::unreadable(&folder.display().to_string(), &e);
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(here)? {
        let entry = entry.map_err(here)?;
        let path = entry.path();
        if is_litter(&entry.file_name().to_string_lossy()) {
            continue;
        }
        if entry.file_type().map_err(here)?.is_symlink() {
            let inside = path
                .canonicalize()
                .ok()
                .zip(root.canonicalize().ok())
                .is_some_and(|(p, r)| p.starts_with(r));
            if !inside {
                return Err(Failure::corrupt(format!(
                    "{} is a link that leads out of the dataset; copy the file instead",
                    path.display()
                )));
            }
        }
        out.push(path);
    }
    out.sort();
    Ok(out)
}

fn name(path: &Path) -> String {
    path.file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(path: &Path, pixels: [[u8; 3]; 2]) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::from_raw(2, 1, pixels.concat())
            .unwrap()
            .save(path)
            .unwrap();
    }

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn images_are_channels_first_and_classes_are_labels() {
        let dir = tempfile::tempdir().unwrap();
        png(&dir.path().join("dog/1.png"), [[1, 2, 3], [4, 5, 6]]);
        png(&dir.path().join("cat/1.png"), [[7, 8, 9], [10, 11, 12]]);
        std::fs::write(dir.path().join(".DS_Store"), b"junk").unwrap();
        std::fs::write(dir.path().join("cat/thumbs.DB"), b"junk").unwrap();
        std::fs::create_dir(dir.path().join("@eaDir")).unwrap();
        assert_eq!(counted(dir.path(), dir.path()).unwrap(), (2, 2));
        let mut folder = Folder::open(
            dir.path(),
            &[3, 1, 2],
            &strings(&["dog", "cat", "owl"]),
            None,
        )
        .unwrap();
        assert_eq!(
            folder.read(&DataField::Y, &[0, 1]).unwrap().data(),
            &TensorData::I64(vec![1, 0]),
            "cat first by name, labels by the task"
        );
        assert_eq!(
            folder.read(&DataField::X, &[1]).unwrap().data(),
            &TensorData::F32(vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0])
        );
        let mut sorted = Folder::open(dir.path(), &[3, 1, 2], &[], None).unwrap();
        assert_eq!(
            sorted.read(&DataField::Y, &[0, 1]).unwrap().data(),
            &TensorData::I64(vec![0, 1])
        );
        let wrong = Folder::open(dir.path(), &[3, 1, 2], &strings(&["cat"]), None)
            .err()
            .unwrap()
            .message;
        assert!(wrong.contains("\"dog\""), "{wrong}");
    }

    #[test]
    fn another_size_is_an_error_that_says_both() {
        let dir = tempfile::tempdir().unwrap();
        png(&dir.path().join("a.png"), [[0; 3]; 2]);
        let read = |shape: &[usize]| {
            Folder::open(dir.path(), shape, &[], None)
                .unwrap()
                .read(&DataField::X, &[0])
        };
        assert!(read(&[1, 1, 2]).is_ok());
        assert!(
            read(&[1, 8, 8])
                .unwrap_err()
                .message
                .contains("2 by 1 pixels, the task expects 8 by 8")
        );
        assert!(
            read(&[1, 1, 1]).is_err(),
            "larger than expected: rejected before it is decoded"
        );
    }

    #[test]
    fn train_and_val_are_parts_of_one_dataset() {
        let dir = tempfile::tempdir().unwrap();
        png(&dir.path().join("train/a/1.png"), [[1; 3]; 2]);
        png(&dir.path().join("train/b/2.png"), [[2; 3]; 2]);
        png(&dir.path().join("val/b/3.png"), [[3; 3]; 2]);
        let classes = strings(&["a", "b"]);
        let len = |part| {
            Folder::open(dir.path(), &[1, 1, 2], &classes, part)
                .unwrap()
                .len()
        };
        assert_eq!(
            (len(Some(Part::Train)), len(Some(Part::Val)), len(None)),
            (2, 1, 3)
        );
        let mut val = Folder::open(dir.path(), &[1, 1, 2], &classes, Some(Part::Val)).unwrap();
        assert_eq!(
            val.read(&DataField::Y, &[0]).unwrap().data(),
            &TensorData::I64(vec![1]),
            "the task's label, not the part's"
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_out_of_the_dataset_are_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        png(&dir.path().join("set/a.png"), [[0; 3]; 2]);
        std::os::unix::fs::symlink("a.png", dir.path().join("set/b.png")).unwrap();
        assert_eq!(
            Folder::open(&dir.path().join("set"), &[1, 1, 2], &[], None)
                .unwrap()
                .len(),
            2,
            "links inside are fine"
        );
        std::os::unix::fs::symlink(outside.path(), dir.path().join("set/c.png")).unwrap();
        assert!(
            Folder::open(&dir.path().join("set"), &[1, 1, 2], &[], None)
                .err()
                .unwrap()
                .message
                .contains("leads out")
        );
    }
}
