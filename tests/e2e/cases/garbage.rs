//! Nonsense for every endpoint of a node that has a task in flight.

use delta_node::adapters::http::endpoints;

use crate::process::wait_until;
use crate::world::World;
use crate::{http, task};

fn bodies() -> Vec<Vec<u8>> {
    let noise: Vec<u8> = (0_u32..20_000)
        .map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    vec![
        Vec::new(),
        noise,
        b"{bad".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        br#"{"address":"0xdeadbeef","task_id":"0xdead","round":-1,"shares":[{}],"metrics":{"a":1e400}}"#.to_vec(),
        "[".repeat(100_000).into_bytes(),
        b"--e2e\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\nx\r\n--e2e--\r\n".to_vec(),
        b"--e2e\r\ncontent-disposition: form-data; name=\"file\"; filename=\"../../x\"\r\n\r\nPK\x03\x04".to_vec(),
        b"--e2e\r\ncontent-disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n\x80\x05cos\nsystem\n.\r\n--e2e--\r\n".to_vec(),
    ]
}

const TYPES: [&str; 5] = [
    "",
    "application/json",
    "multipart/form-data; boundary=e2e",
    "multipart/form-data",
    "text/\u{e9}",
];

fn queries(chain_id: &str, member: &str) -> Vec<String> {
    vec![
        String::new(),
        "?".into(),
        "?task_id=1000000000000000000000000000000&page=0&page_size=-1&start=x&limit=0&task_ids=1,2".into(),
        "?task_id=%00%ff&name=../../../etc/passwd&round=1&address=0x0&page=99999999999999999999".into(),
        "?page=9223372036854775807&page_size=9223372036854775807&task_id=9223372036854775807&start=9223372036854775807&limit=9223372036854775807".into(),
        format!("?task_id={chain_id}&round=1&address={member}&name=mean"),
        format!("?task_id={chain_id}&round=4294967295&address={member}"),
        format!("?{}", "a=b&".repeat(5_000)),
    ]
}

#[test]
fn garbage_for_every_endpoint_harms_nothing() {
    let mut world = World::new();
    let member = world.address(1);
    let id = world.submit(&task::wages(task::endless(3)));
    let at = world.nodes[0].wait_for(0, &["[Select Candidates]"]);
    // Without this one the round cannot end, so everything below happens in the middle of it.
    world.nodes[2].freeze();
    let line = world.nodes[0].log()[at - 1].clone();
    let chain_id = line
        .split(|c: char| !c.is_ascii_alphanumeric())
        .find(|word| word.starts_with("0x") && word.len() == 66)
        .unwrap_or_else(|| panic!("no id in {line}"))
        .to_owned();

    let port = world.ports[0];
    let mut told = Vec::new();
    let mut judge = |what: String, reply: std::io::Result<http::Reply>| match reply {
        Ok(reply) if reply.status < 500 || reply.status == 503 => {}
        Ok(reply) => told.push(format!("{what}: {} {}", reply.status, reply.text())),
        Err(e) => told.push(format!("{what}: {e}")),
    };
    for (method, path, _) in endpoints() {
        for query in queries(&chain_id, &member) {
            let target = format!("{path}{query}");
            judge(
                format!("{method} {:.150}", target),
                http::send(port, method, &target, "", b""),
            );
        }
        for (b, body) in bodies().iter().enumerate() {
            for kind in TYPES {
                let what = format!("{method} {path}, body {b} as {kind:?}");
                judge(what, http::send(port, method, path, kind, body));
            }
        }
        for wrong in ["DELETE", "HEAD", "PROPFIND"] {
            judge(
                format!("{wrong} {path}"),
                http::send(port, wrong, path, "", b""),
            );
        }
    }
    assert!(told.is_empty(), "{told:#?}");

    for noise in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/task HTTP/1.1\r\nhost: localhost\r\ncontent-length: -5\r\n\r\n",
        b"POST /v1/coord/result HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        &[b'A'; 200_000],
    ] {
        // An answer or a closed connection, both are fine.
        drop(http::raw(port, noise));
    }

    assert!(world.nodes[0].is_alive());
    world.nodes[2].thaw();
    assert_eq!(task::members(&world.result(id)), [0, 1, 2]);
    let id = world.submit(&task::wages(task::endless(3)));
    assert_eq!(task::members(&world.result(id)), [0, 1, 2]);
    for node in &world.nodes {
        let log = node.log();
        assert!(!log.iter().any(|l| l.contains("panicked")), "{log:#?}");
    }
}

/// A person pulls the plug while submitting: the node has the whole task or none of it, never one that nobody will ever run.
#[test]
fn a_client_that_goes_away_leaves_no_half_task() {
    let world = World::new();
    let body = http::form(&task::wages(task::endless(3)));
    let head = format!(
        "POST /v1/task HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=e2e\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let whole = [head.as_bytes(), &body].concat();
    for bytes in [whole.len() / 2, whole.len() - 1, whole.len(), whole.len()] {
        http::abandon(world.ports[0], &whole[..bytes]);
    }
    // One more, so that it is certain that there is one to wait for.
    world.submit(&task::wages(task::endless(3)));
    wait_until("every task to finish", || {
        let page = world.get(0, "/v1/tasks?page=1&page_size=100").json();
        let tasks = page["tasks"].as_array().unwrap();
        tasks
            .iter()
            .all(|t| t["status"] == "FINISHED")
            .then_some(())
    });
}
