//! The examples do what they say.

#[path = "../examples/two_nodes.rs"]
#[allow(dead_code, reason = "its main is not called")]
mod two_nodes;

#[test]
fn two_nodes_print_their_sum_and_nothing_that_was_private() {
    let shown = two_nodes::play();
    assert!(
        shown.contains("Finished, members [[0, 1]]\nsum of hours 78.5, sum of wages 6250\n"),
        "{shown}"
    );
    for private in ["38.5", "2900", "3350"] {
        assert!(!shown.contains(private), "{private} in {shown}");
    }
    assert_eq!(shown, two_nodes::play(), "every run is the same");
}
