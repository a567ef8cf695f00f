//! Which files of a folder are samples, of which class, and which are no data.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Most samples of a folder.
const FILES: usize = 20_000_000;
/// Endings of what people put beside data.
const NO_DATA: [&str; 39] = [
    "arrow",
    "cff",
    "cfg",
    "conf",
    "css",
    "csv",
    "db",
    "doc",
    "docx",
    "feather",
    "htm",
    "html",
    "ini",
    "ipynb",
    "js",
    "json",
    "jsonl",
    "log",
    "md",
    "md5",
    "ods",
    "odt",
    "parquet",
    "pdf",
    "py",
    "rst",
    "rtf",
    "sh",
    "sha256",
    "sha256sum",
    "sqlite",
    "toml",
    "tsv",
    "txt",
    "xls",
    "xlsx",
    "xml",
    "yaml",
    "yml",
];
/// Names of the same without an ending.
const PAPERS: [&str; 12] = [
    "authors",
    "changelog",
    "changes",
    "citation",
    "copying",
    "dockerfile",
    "license",
    "licence",
    "makefile",
    "notice",
    "readme",
    "version",
];

/// What was found in a folder.
#[derive(Default)]
pub(super) struct Listing {
    /// Samples, each with its label where there are classes.
    pub(super) files: Vec<(PathBuf, Option<i64>)>,
    /// Names of what is no data.
    pub(super) left_out: Vec<String>,
}

/// What stands beside `train` and `val`, where a dataset has both; all of that is left out.
///
/// # Errors
/// When the folder cannot be read, or a link in it leads out.
pub(in crate::datasets) fn root_split(root: &Path) -> Result<Option<Vec<String>>, Failure> {
    let (parts, others): (Vec<PathBuf>, Vec<PathBuf>) = entries(root, root)?
        .into_iter()
        .partition(|p| matches!(name(p).as_str(), "train" | "val") && p.is_dir());
    Ok((parts.len() == 2).then(|| others.iter().map(|p| name(p)).collect()))
}

/// The samples of one folder: labelled when it has class folders.
pub(super) fn list(
    root: &Path,
    folder: &Path,
    classes: &[String],
    found: &mut Listing,
) -> Result<(), Failure> {
    let (folders, plain): (Vec<PathBuf>, Vec<PathBuf>) =
        entries(root, folder)?.into_iter().partition(|p| p.is_dir());
    if folders.is_empty() {
        if !classes.is_empty() {
            return Err(Failure::corrupt(format!(
                "the task expects one folder a class, named {classes:?}; there are files only"
            )));
        }
        for path in plain {
            found.add(path, None);
        }
        return bounded(&found.files);
    }
    let (papers, samples): (Vec<PathBuf>, Vec<PathBuf>) =
        plain.into_iter().partition(|path| is_no_data(path));
    if let Some(file) = samples.first() {
        return Err(Failure::corrupt(format!(
            "it mixes class folders and files ({}); move the files into a folder",
            file.display()
        )));
    }
    found.left_out.extend(papers.iter().map(|path| name(path)));
    let names: Vec<String> = folders.iter().map(|p| name(p)).collect();
    for (index, folder) in folders.iter().enumerate() {
        let label = if classes.is_empty() {
            Some(index)
        } else {
            classes.iter().position(|c| *c == name(folder))
        };
        let label = label.ok_or_else(|| {
            Failure::corrupt(format!("it has the class folders {names:?}, the task expects {classes:?}; {:?} is not among them", name(folder)))
        })?;
        let label = i64::try_from(label).map_err(|_| Failure::internal("too many classes"))?;
        for file in entries(root, folder)? {
            if file.is_dir() {
                return Err(Failure::corrupt(format!(
                    "{} is a folder inside a class folder",
                    file.display()
                )));
            }
            found.add(file, Some(label));
        }
        bounded(&found.files)?;
    }
    Ok(())
}

impl Listing {
    fn add(&mut self, path: PathBuf, label: Option<i64>) {
        if is_no_data(&path) {
            self.left_out.push(name(&path));
        } else {
            self.files.push((path, label));
        }
    }
}

/// Whether a file is what people put beside data, by its name.
fn is_no_data(path: &Path) -> bool {
    let name = name(path).to_ascii_lowercase();
    match name.rsplit_once('.') {
        Some((_, ending)) => NO_DATA.contains(&ending),
        None => PAPERS.contains(&name.as_str()),
    }
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
