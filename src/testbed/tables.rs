//! The built-in tables, shared out over the demonstration's nodes: row by row in turn, every node at least one row.

use std::path::Path;

use anyhow::Context as _;

use crate::assets::{IRIS, SPECTOR, Table, WAGES};

/// Writes node `index`'s part of every table into `data_dir`.
pub(super) fn put(data_dir: &Path, index: usize, count: usize) -> anyhow::Result<()> {
    std::fs::create_dir_all(data_dir)?;
    for table in [IRIS, SPECTOR, WAGES] {
        std::fs::write(data_dir.join(table.name), part(&table, index, count)?)?;
    }
    Ok(())
}

/// Node `index`'s part of `table`, with its header.
pub(super) fn part(table: &Table, index: usize, count: usize) -> anyhow::Result<String> {
    let text = std::str::from_utf8(table.bytes)?;
    let mut lines = text.lines();
    let header = lines.next().context("a built-in table is empty")?;
    let rows: Vec<&str> = lines.collect();
    let mut own: Vec<&str> = rows.iter().skip(index).step_by(count).copied().collect();
    if own.is_empty() {
        // More nodes than rows: rows repeat.
        own.extend(rows.get(index % rows.len().max(1)));
    }
    Ok(format!("{header}\n{}\n", own.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_goes_to_exactly_one_node() {
        for table in [IRIS, SPECTOR, WAGES] {
            let parts: Vec<String> = (0..3).map(|i| part(&table, i, 3).unwrap()).collect();
            let mut rows: Vec<&str> = parts.iter().flat_map(|p| p.lines().skip(1)).collect();
            let mut all: Vec<&str> = std::str::from_utf8(table.bytes)
                .unwrap()
                .lines()
                .skip(1)
                .collect();
            rows.sort_unstable();
            all.sort_unstable();
            assert_eq!(rows, all, "{}", table.name);
        }
    }

    #[test]
    fn no_node_is_without_a_row() {
        for index in 0..7 {
            assert_eq!(part(&WAGES, index, 7).unwrap().lines().count(), 2);
        }
    }
}
