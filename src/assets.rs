//! What the program carries with it: example data and the tasks of `demo` and `attack`, embedded from `assets/`.

/// A table of numbers with a header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    /// File name in a data directory.
    pub(crate) name: &'static str,
    /// Its lines, separated by commas.
    pub(crate) bytes: &'static [u8],
}

/// Fisher's iris flowers: 150 rows, four features and the kind of flower.
pub(crate) const IRIS: Table = Table {
    name: "iris.csv",
    bytes: include_bytes!("../assets/iris.csv"),
};

/// Spector and Mazzeo's economics course: 32 rows.
pub(crate) const SPECTOR: Table = Table {
    name: "spector.csv",
    bytes: include_bytes!("../assets/spector.csv"),
};

/// A column of wages: 3 rows.
pub(crate) const WAGES: Table = Table {
    name: "wages.csv",
    bytes: include_bytes!("../assets/wages.csv"),
};

/// Patients that never were: 4,500 rows with a number, age, HbA1c, and whether they came back to hospital (0 or 1).
pub(crate) const PATIENTS: Table = Table {
    name: "patients.csv",
    bytes: include_bytes!("../assets/patients.csv"),
};

/// 1,797 images of handwritten digits, 8x8, from scikit-learn: arrays `x` and `y` of bytes.
pub(crate) const DIGITS: &[u8] = include_bytes!("../assets/digits.npz");

/// The demonstration's task: a small network that learns to read [`DIGITS`], with a number of rounds that is meant to be replaced.
pub(crate) const DIGITS_TASK: &[u8] = include_bytes!("../assets/digits-cnn.delta");

/// The task that attacks are made on: four numbers, halved and raised by one in every round. Needs no data.
pub(crate) const HALVES_TASK: &[u8] = include_bytes!("../assets/halves.delta");

/// A logistic regression on `patients-controlled.csv` whose sums the nodes make.
pub(crate) const REGRESSION: &[u8] = include_bytes!("../assets/readmission-controlled.delta");

/// The same on `patients-private.csv`, with noise in every sum.
pub(crate) const NOISY_REGRESSION: &[u8] = include_bytes!("../assets/readmission-private.delta");

/// The sum of a value over the patients with one number: there is one.
pub(crate) const ONE_BY_NUMBER: &[u8] = include_bytes!("../assets/one-by-number.delta");

/// The sum of a value over the oldest patients: there are few.
pub(crate) const FEW_BY_AGE: &[u8] = include_bytes!("../assets/few-by-age.delta");

/// A correlation, whose graph makes the sums itself.
pub(crate) const CORRELATION: &[u8] = include_bytes!("../assets/correlation.delta");

#[cfg(test)]
mod tests {
    use super::{IRIS, PATIENTS, SPECTOR, WAGES};

    #[test]
    fn tables_have_a_header_and_rectangular_rows() {
        for table in [IRIS, PATIENTS, SPECTOR, WAGES] {
            let text = std::str::from_utf8(table.bytes).unwrap();
            let columns: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
            assert!(
                columns.len() > 1 && columns.iter().all(|n| *n == columns[0]),
                "{}",
                table.name
            );
        }
    }
}
