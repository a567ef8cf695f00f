//! One node with what is known of its inputs, as the rules read it. What is not understood is an error, never a default.

use super::value::{Dim, Value};
use crate::pb::{self, kind};

/// Most axes of a value that is followed.
const RANK: usize = 32;

/// One node, called with values.
pub(super) struct Call<'a> {
    pub(super) node: &'a pb::Node,
    pub(super) inputs: Vec<Option<&'a Value>>,
    /// Version of the operator set.
    pub(super) opset: i64,
}

impl Call<'_> {
    /// An input that must be there.
    pub(super) fn input(&self, index: usize) -> Result<&Value, String> {
        let input = self.optional(index);
        input.ok_or_else(|| format!("input {index} is missing"))
    }

    /// An input that may be left out.
    pub(super) fn optional(&self, index: usize) -> Option<&Value> {
        self.inputs.get(index).copied().flatten()
    }

    /// All inputs that are there.
    pub(super) fn present(&self) -> Vec<&Value> {
        self.inputs.iter().copied().flatten().collect()
    }

    /// An input of numbers that every batch has alike, if it is there.
    pub(super) fn fixed(&self, index: usize, what: &str) -> Result<Option<&Value>, String> {
        match self.optional(index) {
            Some(value) if !value.is_fixed() => Err(format!("{what} depends on the records")),
            other => Ok(other),
        }
    }

    /// Outputs that have a name.
    pub(super) fn outputs(&self) -> usize {
        let named = |name: &String| !name.is_empty();
        self.node
            .output
            .iter()
            .rposition(named)
            .map_or(0, |i| i + 1)
    }

    fn attribute(&self, name: &str) -> Option<&pb::Attribute> {
        let named = |a: &&pb::Attribute| a.name.as_deref() == Some(name);
        self.node.attribute.iter().find(named)
    }

    /// A whole-number attribute; `default` when it is absent.
    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, String> {
        match self.attribute(name) {
            None => Ok(default),
            // Writers leave a zero out.
            Some(a) if a.kind == Some(kind::INT) => Ok(a.i.unwrap_or(0)),
            Some(_) => Err(format!("attribute {name} is no whole number")),
        }
    }

    /// An attribute of whole numbers, if it is there.
    pub(super) fn ints(&self, name: &str) -> Result<Option<&[i64]>, String> {
        match self.attribute(name) {
            None => Ok(None),
            Some(a) if a.kind == Some(kind::INTS) => Ok(Some(&a.ints)),
            Some(_) => Err(format!("attribute {name} is no list of whole numbers")),
        }
    }

    /// An attribute of text; `default` when it is absent.
    pub(super) fn text(&self, name: &str, default: &str) -> Result<String, String> {
        match self.attribute(name) {
            None => Ok(default.to_owned()),
            Some(a) if a.kind == Some(kind::STRING) => {
                let bytes = a.s.as_deref().unwrap_or_default();
                Ok(String::from_utf8_lossy(bytes).into_owned())
            }
            Some(_) => Err(format!("attribute {name} is no text")),
        }
    }

    /// A tensor attribute, if it is there.
    pub(super) fn tensor(&self, name: &str) -> Option<&pb::Tensor> {
        self.attribute(name)?.t.as_ref()
    }

    /// An axis counted from the front; negative ones count from the end of `rank`.
    pub(super) fn axis(&self, name: &str, default: i64, rank: usize) -> Result<usize, String> {
        place(self.int(name, default)?, rank)
    }

    /// The first attribute that is not in `known`.
    pub(super) fn foreign(&self, known: &[&str]) -> Option<&str> {
        let names = self.node.attribute.iter();
        let mut names = names.map(|a| a.name.as_deref().unwrap_or_default());
        names.find(|name| !known.contains(name))
    }
}

/// An axis counted from the front.
pub(super) fn place(axis: i64, rank: usize) -> Result<usize, String> {
    let length = i64::try_from(rank).unwrap_or(i64::MAX);
    let from_front = if axis < 0 {
        axis.saturating_add(length)
    } else {
        axis
    };
    let found = usize::try_from(from_front).ok().filter(|a| *a < rank);
    found.ok_or_else(|| format!("axis {axis} of {rank}"))
}

/// Axes counted from the front.
pub(super) fn places(axes: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    axes.iter().map(|a| place(*a, rank)).collect()
}

/// One value of a known shape; an error where each record would meet every other.
pub(super) fn one(dims: Vec<Dim>) -> Result<Vec<Value>, String> {
    if dims.len() > RANK {
        return Err(format!("more than {RANK} axes"));
    }
    let dims = super::value::one_rows(dims);
    let dims = dims.ok_or("a value of every record with every other would be made")?;
    Ok(vec![Value::shaped(dims)])
}
