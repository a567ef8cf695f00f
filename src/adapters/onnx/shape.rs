//! Shapes in which a length may be left open.

/// A shape of known rank; `None` is any length.
pub(crate) type Dims = [Option<usize>];

/// Whether a tensor of `shape` has the rank and the known lengths of `dims`.
pub(crate) fn fits(dims: &Dims, shape: &[usize]) -> bool {
    dims.len() == shape.len()
        && dims
            .iter()
            .zip(shape)
            .all(|(d, n)| d.is_none_or(|d| d == *n))
}

/// Whether some tensor fits both.
pub(crate) fn agree(a: &Dims, b: &Dims) -> bool {
    let same = |(a, b): (&Option<usize>, &Option<usize>)| a.is_none() || b.is_none() || a == b;
    a.len() == b.len() && a.iter().zip(b).all(same)
}

/// As messages show it: `[any, 3]`.
pub(crate) fn text(dims: &Dims) -> String {
    let lengths: Vec<String> = dims
        .iter()
        .map(|d| d.map_or_else(|| "any".to_owned(), |d| d.to_string()))
        .collect();
    format!("[{}]", lengths.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_lengths_fit_everything_and_ranks_must_be_the_same() {
        let rows_of_three = [None, Some(3)];
        assert!(fits(&rows_of_three, &[7, 3]) && fits(&[], &[]));
        assert!(!fits(&rows_of_three, &[3]) && !fits(&rows_of_three, &[7, 4]));
        assert!(agree(&rows_of_three, &[Some(7), None]));
        assert!(!agree(&rows_of_three, &[None]) && !agree(&rows_of_three, &[None, Some(4)]));
        assert_eq!(text(&rows_of_three), "[any, 3]");
        assert_eq!(text(&[]), "[]");
    }
}
