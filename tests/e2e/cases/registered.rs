//! Versions of a dataset on the data hub, with the commands of docs/data.md.

use crate::task;
use crate::world::World;

#[test]
fn versions_are_registered_compared_and_missed() {
    let world = World::new();
    let said = |args: &[&str]| {
        let output = world.cli(args);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = text + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {told}");
        told
    };
    assert!(said(&["datasets", "list"]).contains("No dataset of this node is registered"));
    let first = said(&["datasets", "register", "wages.csv"]);
    assert!(
        first.starts_with("wages.csv version 0, registered "),
        "{first}"
    );
    let published = first
        .lines()
        .find_map(|l| l.trim().strip_prefix("published: "));
    let published = published.unwrap().to_owned();
    // Whoever asks the connector sees this, and nothing of the file.
    world
        .connector
        .wait_for(0, &["data are registered", &published]);
    assert_eq!(said(&["datasets", "register", "wages.csv"]), first);
    let history = said(&["datasets", "history", "wages.csv"]);
    assert!(
        history.trim_end().ends_with(": on the data hub"),
        "{history}"
    );
    let list = said(&["datasets", "list"]);
    assert!(list.contains(": what it holds now"), "{list}");

    // A task on what is registered is not worth a word; one on something else is.
    let log = |from: usize| world.nodes[0].log().split_off(from).join("\n");
    let from = world.nodes[0].log().len();
    world.result(world.submit(&task::wages(task::endless(3))));
    assert!(
        !log(from).contains("registered on the data hub"),
        "{}",
        log(from)
    );
    let file = world.home(0).join("data/wages.csv");
    let wages = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, wages + "1\n").unwrap();
    let list = said(&["datasets", "list"]);
    assert!(list.contains(": it holds something else now"), "{list}");
    world.submit(&task::wages(task::endless(3)));
    world.nodes[0].wait_for(from, &["wages.csv does not hold what was registered"]);
    let second = said(&["datasets", "register", "wages.csv"]);
    assert!(second.starts_with("wages.csv version 1, "), "{second}");
    assert_eq!(
        said(&["datasets", "history", "wages.csv"]).lines().count(),
        2
    );

    let output = world.cli(&["datasets", "register", "nothing.csv"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("there is no dataset nothing.csv"), "{text}");
}
