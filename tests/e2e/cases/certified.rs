//! A certified regression over three nodes and a connector, each a process; and its certificate, checked from the file alone.

use crate::task;
use crate::world::World;

const TASK: &str = "spector-certified.delta";

#[cfg(not(feature = "prover"))]
#[test]
fn a_build_without_certificates_says_so() {
    let world = World::new();
    let bundle = task::task(TASK, None, task::endless(3));
    let reply = crate::http::upload(world.ports[0], "/v1/task", &bundle).unwrap();
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert!(
        reply.text().contains("built without certificates"),
        "{}",
        reply.text()
    );
}

#[cfg(feature = "prover")]
#[test]
fn the_spector_regression_is_confirmed_and_its_certificate_holds_offline() {
    // statsmodels on all rows in one place.
    const EXPECTED: [f64; 4] = [-13.021_35, 2.826_11, 0.095_16, 2.378_69];
    let world = World::new();
    let id = world.submit(&task::task(TASK, None, task::endless(3)));
    let npz = world.result(id);
    let status = world.get(0, &format!("/v1/task/status?task_id={id}"));
    let confirmed = Some(4);
    assert_eq!(
        status.json()["status"].as_u64(),
        confirmed,
        "{:#?}",
        world.messages(id)
    );
    let found = &task::arrays(&npz)["params"];
    for (value, expected) in found.iter().zip(EXPECTED) {
        assert!((value - expected).abs() < 1e-4, "{found:?}");
    }

    let file = world.home(0).join("spector.certificate");
    let reply = world.get(0, &format!("/v1/task/certificate?task_id={id}"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    std::fs::write(&file, &reply.body).unwrap();
    let told = |output: &std::process::Output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text + &String::from_utf8_lossy(&output.stderr)
    };
    let output = world.cli(&["verify", "spector.certificate"]);
    let said = told(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.starts_with("certified: logistic regression, 32 rows of 3 members"),
        "{said}"
    );
    for node in 0..3 {
        assert!(said.contains(&world.address(node)), "{said}");
        let words = "this node has checked the certificate";
        world.nodes[node].wait_for(0, &[words]);
    }
    // What was proven is what the connector was told before the first round.
    let tables: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("member ")?.split(": table ").nth(1))
        .collect();
    assert_eq!(tables.len(), 3, "{said}");
    for table in tables {
        world.connector.wait_for(0, &["data are registered", table]);
    }

    // One bit of it is no certificate.
    let mut bytes = reply.body;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let output = world.cli(&["verify", "spector.certificate"]);
    assert!(!output.status.success(), "{}", told(&output));
}
