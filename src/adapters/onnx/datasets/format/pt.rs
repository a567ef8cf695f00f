//! `.pt` and `.pth`: one tensor, or named tensors, as `torch.save` writes them: a zip archive of a pickle and of plain numbers.
//!
//! A pickle is a program. This one is not run: `pickle.rs` follows the few steps that tensors need, and refuses everything else.

mod pickle;

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;

use super::npz::no_samples;
use super::zipped::Zipped;
use crate::datasets::array::{self, ArrayFile as _, Found, LABELS, SAMPLES, UNNAMED};
use crate::datasets::strided::{Element, Layout, Strided};
use crate::failure::Failure;
use delta_domain::npy::Elements;
use delta_domain::tensor::element_count;
use pickle::{Saved, TensorAt};

/// Most bytes of a pickle. A tensor takes some two hundred.
const PICKLE: usize = 4 << 20;
/// Tensors that a description names.
const NAMED: usize = 8;
/// What torch's old files begin with.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19";

/// Opens the first tensor of `names`; a tensor without a name answers to [`UNNAMED`].
pub(super) fn find(file: File, names: &[&str]) -> Result<Found, Failure> {
    let archive = Archive::of(file)?;
    let tensors = match archive.saved()? {
        (archive, Saved::One(tensor)) if names.contains(&UNNAMED) => {
            return Ok(Found::Array(Box::new(archive.open(&tensor)?)));
        }
        (_, Saved::One(_)) => return Ok(Found::Others(vec![UNNAMED.to_owned()])),
        (archive, Saved::Named(tensors)) => (archive, tensors),
    };
    let (archive, tensors) = tensors;
    let named = |name: &&str| {
        let found = tensors.iter().find(|(n, _)| n == name);
        found.map(|(name, tensor)| (name.clone(), tensor.clone()))
    };
    match names.iter().find_map(named) {
        Some((name, tensor)) => {
            let opened = archive.open(&tensor);
            let opened = opened.map_err(|f| f.within(&format!("tensor {name}")))?;
            Ok(Found::Array(Box::new(opened)))
        }
        None => Ok(Found::Others(tensors.into_iter().map(|t| t.0).collect())),
    }
}

/// Appends the tensor as one sample, which must have exactly `shape`.
pub(super) fn append(path: &Path, shape: &[usize], out: &mut Vec<f32>) -> Result<(), Failure> {
    array::append(&mut single(path)?, shape, out)
}

/// Whether the tensor is one sample of `shape`.
pub(super) fn fits(path: &Path, shape: &[usize]) -> Result<(), Failure> {
    array::is_one(&single(path)?, shape)
}

fn single(path: &Path) -> Result<Strided, Failure> {
    match Archive::of(open(path)?)?.saved()? {
        (archive, Saved::One(tensor)) => archive.open(&tensor),
        (_, Saved::Named(_)) => Err(Failure::corrupt(
            "it holds named tensors; a sample is one tensor without a name: torch.save(x, ...)",
        )),
    }
}

/// Its tensors with their shapes and types.
///
/// # Errors
/// What no task could read.
pub(super) fn describe(path: &Path) -> Result<String, Failure> {
    let (archive, saved) = Archive::of(open(path)?)?.saved()?;
    match saved {
        Saved::One(tensor) => {
            let opened = archive.open(&tensor)?;
            let (shape, kind) = (opened.shape(), opened.kind());
            Ok(format!("array, shape {shape:?}, {kind}"))
        }
        Saved::Named(tensors) => {
            if !tensors.iter().any(|(n, _)| SAMPLES.contains(&n.as_str())) {
                let names = tensors.iter().take(NAMED).map(|(n, _)| n.as_str());
                return Err(match tensors.is_empty() {
                    true => Failure::corrupt("it holds no tensors"),
                    false => Failure::corrupt(no_samples(&names.collect::<Vec<_>>())),
                });
            }
            let read = |n: &str| SAMPLES.contains(&n) || LABELS.contains(&n);
            let (first, others): (Vec<_>, Vec<_>) = tensors.iter().partition(|(n, _)| read(n));
            let told = first.into_iter().chain(others).take(NAMED);
            let told: Result<Vec<String>, Failure> = told
                .map(|(name, t)| {
                    let element = element(&t.storage, false)?;
                    Ok(super::told(name, &t.shape, element.name()))
                })
                .collect();
            Ok(super::arrays(&told?, tensors.len()))
        }
    }
}

fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|e| Failure::unreadable("it", &e))
}

/// Whether an archive of unknown name is torch's, and no `.npz`.
pub(super) fn is_torch(path: &Path) -> bool {
    let names = Zipped::open(path).and_then(|archive| archive.names());
    names.is_ok_and(|names| names.iter().any(|n| is_pickle(n)))
}

fn is_pickle(entry: &str) -> bool {
    entry == "data.pkl" || entry.ends_with("/data.pkl")
}

/// What `torch.save` wrote.
struct Archive {
    zip: Zipped,
    /// What all names in it begin with.
    root: String,
}

impl Archive {
    fn of(mut file: File) -> Result<Self, Failure> {
        let cannot = |e: std::io::Error| Failure::unreadable("it", &e);
        let mut start = Vec::new();
        let first = LEGACY.len();
        (&mut file)
            .take(u64::try_from(first).unwrap_or(0))
            .read_to_end(&mut start)
            .map_err(cannot)?;
        file.rewind().map_err(cannot)?;
        if start == LEGACY {
            return Err(Failure::corrupt(
                "it is in torch's old form; load it and save it again with torch.save of torch 1.6 or later, without _use_new_zipfile_serialization=False",
            ));
        }
        if !start.starts_with(b"PK") {
            return Err(Failure::corrupt(
                "it is no file that torch.save wrote; save tensors with torch.save({\"x\": x, \"y\": y}, ...)",
            ));
        }
        let zip = Zipped::of(file)?;
        let names = zip.names()?;
        let pickle = names.iter().find(|n| is_pickle(n)).ok_or_else(|| {
            Failure::corrupt("it is no file that torch.save wrote: it has no data.pkl; if numpy.savez did, name it .npz")
        })?;
        let root = pickle.strip_suffix("data.pkl").unwrap_or_default();
        if names.contains(&format!("{root}constants.pkl")) {
            return Err(Failure::corrupt(
                "it is a program of TorchScript; save tensors with torch.save",
            ));
        }
        let root = root.to_owned();
        Ok(Self { zip, root })
    }

    /// Follows the pickle.
    fn saved(mut self) -> Result<(Self, Saved), Failure> {
        let name = format!("{}data.pkl", self.root);
        let pickle = self.zip.start(&name, PICKLE + 1)?;
        if pickle.len() > PICKLE {
            return Err(Failure::corrupt(format!(
                "its data.pkl is longer than {PICKLE} bytes; save few large tensors instead of many small ones"
            )));
        }
        let saved = pickle::read(&pickle)?;
        Ok((self, saved))
    }

    /// Opens a tensor where its numbers lie.
    fn open(mut self, tensor: &TensorAt) -> Result<Strided, Failure> {
        let order = format!("{}byteorder", self.root);
        let big = match self.zip.names()?.contains(&order) {
            true => self.zip.start(&order, 8)? == b"big",
            false => false,
        };
        let element = element(&tensor.storage, big)?;
        let damaged = || Failure::corrupt("it is damaged: a tensor is larger than its numbers");
        let size = u64::try_from(element.size()).unwrap_or(u64::MAX);
        let entry = format!("{}data/{}", self.root, tensor.key);
        let held = self.zip.size(&entry)?;
        // The archive goes on behind the numbers: a tensor must end with them.
        let reach = tensor.shape.iter().zip(&tensor.strides);
        let mut reach = reach.map(|(n, s)| n.saturating_sub(1).checked_mul(*s));
        let reach = reach.try_fold(tensor.offset, |sum, n| sum.checked_add(n?));
        let end = reach.and_then(|n| u64::try_from(n).ok()?.checked_add(1)?.checked_mul(size));
        let empty = element_count(&tensor.shape) == Some(0);
        if !empty && end.is_none_or(|end| end > held) {
            return Err(damaged());
        }
        let (bytes, start) = self.zip.bytes(&entry)?;
        let skipped = u64::try_from(tensor.offset).ok();
        let skipped = skipped.and_then(|n| n.checked_mul(size));
        let start = skipped.and_then(|n| n.checked_add(start));
        let layout = Layout {
            element,
            start: start.ok_or_else(damaged)?,
            shape: tensor.shape.clone(),
            strides: tensor.strides.clone(),
        };
        Strided::new(bytes, layout)
    }
}

/// What a storage's numbers are, by the name of its class.
fn element(class: &str, big: bool) -> Result<Element, Failure> {
    let name = match class.strip_suffix("Storage").unwrap_or(class) {
        "BFloat16" => return Ok(Element::Brain { big }),
        "Float" => "f4",
        "Double" => "f8",
        "Half" => "f2",
        "Long" => "i8",
        "Int" => "i4",
        "Short" => "i2",
        "Char" => "i1",
        "Byte" => "u1",
        "Bool" => "b1",
        other => {
            return Err(Failure::corrupt(format!(
                "it holds a tensor of type {other}; save it as float32, float64, an integer type or bool"
            )));
        }
    };
    let order = if big { ">" } else { "<" };
    let element = Elements::parse(&format!("{order}{name}"));
    element
        .map(Element::Plain)
        .map_err(|e| Failure::internal(e.to_string()))
}

#[cfg(test)]
mod tests;
