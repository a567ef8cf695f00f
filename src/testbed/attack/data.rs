//! The data of the attacked nodes: small files with secrets that can be recognised wherever they turn up.
//!
//! One node is the victim: whatever a task does with a secret fails there, and goes well at the others. So a difference between nodes
//! that anybody can see tells of the victim's data.

use std::path::Path;

use delta_domain::npy;
use delta_domain::tensor::{Tensor, TensorData};

/// The node whose data are looked for: the last one, which coordinates nothing.
pub(super) const VICTIM: usize = 2;

/// A number in the victim's table that stands nowhere else.
pub(super) const NUMBER: i64 = 423_719_857;

/// What must never be seen outside of its node: the victim's number, a cell, a column, a class of pictures, a dataset that only the victim
/// has; and where the nodes keep their files.
pub(super) const SECRETS: [&str; 6] = [
    "423719857",
    "geheim",
    "lohn_2025",
    "karzinom",
    "delta-attack-",
    "kommissionsbericht",
];

/// Everybody's wages, for what is not repelled: a sum must be the sum of something.
pub(super) const WAGES: [[f64; 2]; 3] = [
    [52_017.25, 31_404.5],
    [61_033.75, 28_110.0],
    [47_221.5, 99_871.25],
];

/// Writes node `index`'s files.
pub(super) fn put(folder: &Path, index: usize) -> anyhow::Result<()> {
    let victim = index == VICTIM;
    // `n` is an index into four values, `place` one as well at the victim alone, `len` the length of four values.
    let people = if victim {
        format!("n,place,len,cell,part,lohn_2025\n{NUMBER},3,{NUMBER},Anna Geheim,1.5,1\n")
    } else {
        format!(
            "n,place,len,cell,part,wage\n{index},{},4,2.5,1,1\n",
            index + 90
        )
    };
    // One name for each thing that is wrong with it.
    for name in ["people.csv", "cells.csv", "parts.csv", "columns.csv"] {
        std::fs::write(folder.join(name), &people)?;
    }
    let bare = if victim {
        "Geheim,423719857\n"
    } else {
        "1,2\n"
    };
    std::fs::write(folder.join("bare.csv"), bare)?;
    let [first, second] = WAGES[index % WAGES.len()];
    let staff = format!(
        "id,wage\n{},{first}\n{},{second}\n",
        4700 + index,
        4800 + index
    );
    std::fs::write(folder.join("staff.csv"), staff)?;
    let class = if victim { "karzinom" } else { "benign" };
    let class = folder.join("scans").join(class);
    std::fs::create_dir_all(&class)?;
    let picture = Tensor::new(vec![4], TensorData::F32(vec![1.0; 4]))?;
    std::fs::write(class.join("1.npy"), npy::encode(&picture))?;
    if victim {
        std::fs::write(folder.join("kommissionsbericht.csv"), "a\n1\n")?;
    }
    Ok(())
}

/// The secrets that stand in `text`, in capitals or not.
pub(super) fn found(text: &str) -> Vec<&'static str> {
    let text = text.to_lowercase();
    let here = |secret: &&str| text.contains(*secret);
    SECRETS.iter().copied().filter(here).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_in_the_victims_files_and_are_found_in_any_spelling() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), VICTIM).unwrap();
        let people = std::fs::read_to_string(folder.path().join("people.csv")).unwrap();
        assert_eq!(found(&people), ["423719857", "geheim", "lohn_2025"]);
        assert_eq!(found("no column LOHN_2025"), ["lohn_2025"]);
        put(folder.path(), 0).unwrap();
        let people = std::fs::read_to_string(folder.path().join("people.csv")).unwrap();
        assert!(found(&people).is_empty());
    }
}
