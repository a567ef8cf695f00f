//! The circuit itself, row by row: honest rows keep its rules, and every changed cell breaks one.

use curve25519_dalek::scalar::Scalar;
use delta_ports::certifier::{Model, Rows as Cells};

use super::world::World;
use crate::bits::Bits;
use crate::circuit::Circuit;
use crate::field::{dot, signed, wide};
use crate::layout::Layout;
use crate::table::Table;
use crate::witness::Rows;

/// The first member's rows, and the circuit under challenges that nobody chose.
fn rows(world: &World) -> (Rows, Circuit<'_>) {
    let member = &world.members[0];
    let layout = Layout::new(&world.claim.schema, member.capacity.ilog2() as usize).unwrap();
    let cells = Cells {
        features: &member.features,
        labels: &member.labels,
    };
    let table = Table::new(&world.claim.schema, layout, cells).unwrap();
    let bits = Bits::of_table(&layout, &table);
    let circuit = Circuit::new(
        layout,
        &world.claim.weights,
        signed(1_000_003).invert(),
        signed(77_777).invert(),
    );
    (
        Rows::new(layout, table, bits, &world.claim.weights),
        circuit,
    )
}

fn columns(rows: &Rows, row: usize) -> Vec<Scalar> {
    let of = |bits: &Bits| {
        (0..bits.columns())
            .map(|c| Scalar::from(bits.get(row, c)))
            .collect::<Vec<_>>()
    };
    let mut columns = of(&rows.data);
    if let Some((bits, heights)) = &rows.aux {
        columns.extend(of(bits));
        columns.push(Scalar::from(heights.0[row]));
    }
    columns
}

/// Optima, and weights that saturate most rows.
fn worlds() -> Vec<World> {
    let mut saturated = World::new(Model::Logistic, 2, 40, 2);
    saturated.claim.weights = vec![1 << 31, -(1 << 30), 1 << 28];
    let models = [Model::Logistic, Model::Linear, Model::Mean];
    models
        .into_iter()
        .map(|model| World::new(model, 2, 40, 2))
        .chain([saturated])
        .collect()
}

#[test]
fn honest_rows_keep_every_rule_and_add_up_to_the_sums() {
    for world in worlds() {
        let (rows, circuit) = rows(&world);
        let wires = rows.wires(&circuit);
        let mut total = Scalar::ZERO;
        for row in 0..rows.layout.rows() {
            let columns = columns(&rows, row);
            let from_columns = circuit.wires(&columns);
            let from_numbers: Vec<Scalar> = wires.iter().map(|wire| wire[row]).collect();
            assert_eq!(from_columns, from_numbers, "row {row}");
            let (rules, sums) = circuit.row(&from_columns);
            assert_eq!(rules + circuit.bits(&columns), Scalar::ZERO, "row {row}");
            total += sums;
        }
        let sums: Vec<Scalar> = rows
            .sums(&world.claim.weights)
            .iter()
            .map(|sum| wide(*sum))
            .collect();
        assert_eq!(total, dot(&circuit.lambdas, &sums));
    }
}

#[test]
fn every_changed_cell_breaks_a_rule_or_moves_a_sum() {
    let mut tried = 0;
    for world in worlds() {
        let (rows, circuit) = rows(&world);
        for row in [0, 17, 39, 63] {
            let honest = columns(&rows, row);
            let (_, sums) = circuit.row(&circuit.wires(&honest));
            for column in 0..honest.len() {
                let mut changed = honest.clone();
                let bit = column < rows.layout.bit_columns();
                changed[column] = if bit {
                    Scalar::ONE - changed[column]
                } else {
                    changed[column] + Scalar::ONE
                };
                let (rules, moved) = circuit.row(&circuit.wires(&changed));
                let is_data = column < rows.layout.data_columns();
                let kept = rules + circuit.bits(&changed) == Scalar::ZERO;
                // A changed cell of the table is another table: then the sums are others, unless the row is not real.
                let unreal = is_data && row >= 40 && column != rows.layout.real();
                assert!(
                    !kept || (is_data && (moved != sums || unreal)),
                    "row {row}, column {column}"
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 1_000, "{tried}");
}

#[test]
fn a_bit_that_is_none_breaks_its_rule() {
    for world in worlds() {
        let (rows, circuit) = rows(&world);
        for column in 0..rows.layout.bit_columns() {
            let mut columns = columns(&rows, 3);
            columns[column] = signed(2);
            assert_ne!(circuit.bits(&columns), Scalar::ZERO, "column {column}");
        }
    }
}
