//! Names of columns, as pandas gives them.

use std::collections::{BTreeMap, BTreeSet};

use csv::ByteRecord;

use super::dialect::Found;
use crate::failure::Failure;

/// Names that are shown in a message at most.
const SHOWN: usize = 200;

/// The columns' names: in `header` files those of their first line, where a name that stands again is `name.1` and an empty one
/// `Unnamed: 2`; otherwise their places.
pub(super) fn names(
    first: &ByteRecord,
    header: bool,
    found: &Found,
) -> Result<Vec<String>, Failure> {
    if !header {
        return Ok((0..first.len()).map(|i| i.to_string()).collect());
    }
    let mut texts = Vec::with_capacity(first.len());
    for cell in first {
        texts.push(std::str::from_utf8(cell).map_err(|_| found.not_utf8("its header"))?);
    }
    Ok(unlike(texts))
}

/// The names of a header, none of them twice.
pub(in crate::datasets) fn unlike<'t>(header: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    let given: Vec<(bool, String)> = header
        .into_iter()
        .enumerate()
        .map(|(place, text)| match text.trim() {
            "" => (true, format!("Unnamed: {place}")),
            _ => (false, text.to_owned()),
        })
        .collect();
    let mut names = vec![String::new(); given.len()];
    let taken: BTreeSet<String> = given
        .iter()
        .filter(|(made, _)| !made)
        .map(|(_, n)| n.clone())
        .collect();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    // Names that are there before those that are made.
    for wanted in [false, true] {
        for ((made, name), place) in given.iter().zip(&mut names) {
            if *made != wanted {
                continue;
            }
            let times = seen
                .entry(name.clone())
                .or_insert(u32::from(*made && taken.contains(name)));
            let mut unique = name.clone();
            while *times > 0 {
                unique = format!("{name}.{times}");
                if !taken.contains(&unique) {
                    break;
                }
                *times += 1;
            }
            *times += 1;
            *place = unique;
        }
    }
    names
}

/// Where the wanted columns stand: by their names as they are, or without blanks around them where that is no other's name.
pub(in crate::datasets) fn places(
    names: &[String],
    columns: &[String],
) -> Result<Vec<usize>, Failure> {
    let place = |column: &String| {
        let exact = names.iter().position(|n| n == column);
        let trimmed = || {
            let mut same = names.iter().enumerate().filter(|(_, n)| n.trim() == column);
            match (same.next(), same.next()) {
                (Some((at, _)), None) => Some(at),
                _ => None,
            }
        };
        exact.or_else(trimmed)
    };
    let missing: Vec<&String> = columns.iter().filter(|c| place(c).is_none()).collect();
    if missing.is_empty() {
        return Ok(columns.iter().filter_map(place).collect());
    }
    let present: Vec<&String> = names.iter().take(SHOWN).collect();
    Err(Failure::corrupt(format!(
        "the columns {missing:?} are missing; the file has {present:?}"
    )))
}
