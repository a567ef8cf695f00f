//! One test for each attack on the checker that is known, and then some. Graphs are spoilt on purpose.

mod forbidden;
mod sizes;
mod values;
mod world;

use world::*;

#[test]
fn a_plain_graph_passes_with_its_types() {
    let graph = checked(&good()).unwrap();
    assert_eq!(
        graph.inputs,
        [Port {
            name: "x".into(),
            dtype: DType::F32,
            dims: Some(vec![None, Some(2)])
        }]
    );
    assert_eq!(graph.outputs[0].name, "o");
    assert_eq!(
        check(&graph.bytes, &GraphLimits::default()).unwrap(),
        graph,
        "our own encoding is a fixed point"
    );
}

#[test]
fn truncated_and_mutated_files_are_rejected_or_pass_but_never_panic() {
    let bytes = model(
        vec![
            node("Concat", &["x", "x"], &["h"]),
            node("Relu", &["x"], &["o"]),
        ],
        vec![whole("w", &[1, 2])],
    )
    .encode_to_vec();
    for n in 0..bytes.len() {
        let _outcome = check(&bytes[..n], &GraphLimits::default());
    }
    let mut state = 1u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap()
    };
    let (mut passed, mut rejected) = (0, 0);
    for _ in 0..20_000 {
        let mut mutant = bytes.clone();
        for _ in 0..=random() % 3 {
            let at = random() % mutant.len();
            mutant[at] = u8::try_from(random() % 256).unwrap();
        }
        match check(&mutant, &GraphLimits::default()) {
            Ok(_) => passed += 1,
            Err(_) => rejected += 1,
        }
    }
    assert!(
        passed > 100 && rejected > 1000,
        "{passed} {rejected}: the mutations must reach both sides"
    );
}
