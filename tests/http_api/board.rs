//! The dashboard: its files, and what it asks.

use std::time::Duration;

use delta_node::adapters::http::{Admission, HttpOptions};
use delta_node::ports::board_api::News;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::http_world::World;
use super::{JSON, TASK};

#[tokio::test]
async fn its_files_come_with_a_policy_that_lets_no_other_code_in() {
    let world = World::start().await;
    for (path, kind) in [
        ("/", "text/html"),
        ("/dashboard.js", "text/javascript"),
        ("/dashboard.css", "text/css"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body.len() > 100, "{path}");
        for line in [
            &format!("content-type: {kind}"),
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'",
            "x-content-type-options: nosniff",
            "x-frame-options: DENY",
            "cache-control: no-cache",
        ] {
            assert!(answer.head.contains(line), "{path}: {}", answer.head);
        }
        let tag = answer
            .head
            .lines()
            .find_map(|line| line.strip_prefix("etag: "));
        let again = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nif-none-match: W/\"x\", {}\r\n\r\n",
            tag.unwrap()
        );
        let answer = world.send(again.as_bytes()).await;
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{path}");
    }
    let page = world.get("/").await.text();
    assert!(!page.contains("<script>") && !page.contains("style=") && !page.contains("//"));
}

#[tokio::test]
async fn a_session_says_which_pages_are_open() {
    let world = World::start().await;
    let session = world.get("/v1/board/session").await.text();
    let all = r#"{"scopes":["submit","result","read","approve","admin","metrics"],"refused":null,"version":""#;
    assert!(session.starts_with(all), "{session}");
    let closed = World::admitting(Admission {
        trust_loopback: false,
        ..Admission::default()
    })
    .await;
    let session = closed.get("/v1/board/session").await.text();
    assert!(
        session.starts_with(r#"{"scopes":[],"refused":null,"#),
        "{session}"
    );
    let shown = "GET /v1/board/session HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer delta_00\r\n\r\n";
    let session = closed.send(shown.as_bytes()).await.text();
    let refused = r#"{"scopes":[],"refused":"the token is not known here","#;
    assert!(session.starts_with(refused), "{session}");
}

#[tokio::test]
async fn tasks_are_found_by_text_and_status() {
    let world = World::start().await;
    let ids = |text: &str| -> Vec<i64> {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        let tasks = value["tasks"].as_array().unwrap();
        tasks.iter().map(|t| t["id"].as_i64().unwrap()).collect()
    };
    for (query, found) in [
        ("", vec![2, 1]),
        ("?text=WAGE", vec![2, 1]),
        ("?text=nothing", vec![]),
        ("?status=FINISHED", vec![1]),
        ("?status=FINISHED&status=PENDING", vec![2, 1]),
        ("?before=2", vec![1]),
        ("?limit=1", vec![2]),
        ("?type=hlr", vec![]),
        ("?text=%25", vec![]),
    ] {
        let answer = world.get(&format!("/v1/board/tasks{query}")).await;
        assert_eq!(
            (answer.status, ids(&answer.text())),
            (200, found),
            "{query}"
        );
    }
    let counts = world.get("/v1/board/tasks?status=ERROR").await.text();
    let expected =
        r#"{"tasks":[],"counts":[{"status":"FINISHED","count":1},{"status":"PENDING","count":1}]}"#;
    assert_eq!(counts, expected);
    for query in [
        "?status=DONE",
        "?type=other",
        "?limit=0",
        "?limit=201",
        "?before=x",
    ] {
        let answer = world.get(&format!("/v1/board/tasks{query}")).await;
        assert_eq!(answer.status, 422, "{query}");
    }
    let long = format!("/v1/board/tasks?text={}", "x".repeat(201));
    assert_eq!(world.get(&long).await.status, 400);
}

#[tokio::test]
async fn a_task_shows_what_it_asks_and_its_graphs() {
    let world = World::start().await;
    let task: serde_json::Value =
        serde_json::from_str(&world.get("/v1/board/task?task_id=1").await.text()).unwrap();
    assert_eq!(task["manifest"]["name"], "wages-means");
    assert_eq!(
        task["progress"]["history"][0]["phases"][0]["phase"],
        "AdvertiseKeys"
    );
    let file = task["graphs"]
        .as_object()
        .unwrap()
        .keys()
        .next()
        .unwrap()
        .clone();
    let of = |what: &str, id: &str, file: &str| {
        format!("/v1/board/{what}/graph?task_id={id}&file={file}")
    };
    for (what, id) in [("task", "1"), ("question", TASK)] {
        let graph = world.get(&of(what, id, &file)).await;
        assert_eq!(graph.status, 200);
        assert_eq!(
            graph.body.len() as u64,
            task["graphs"][&file].as_u64().unwrap()
        );
        assert_eq!(world.get(&of(what, id, "task.json")).await.status, 400);
        assert_eq!(
            world.get(&of(what, id, "../../etc/passwd")).await.status,
            400
        );
    }
    assert_eq!(world.get(&of("task", "99", &file)).await.status, 400);
    let asked = world
        .get(&format!("/v1/board/question?task_id={TASK}"))
        .await
        .text();
    assert!(
        asked.contains(r#""before":0.5,"after_round":1.0,"after_all":null"#),
        "{asked}"
    );
    assert_eq!(
        world.get("/v1/board/question?task_id=0x12").await.status,
        400
    );
}

#[tokio::test]
async fn a_task_runs_again_and_the_rest_answers() {
    let world = World::start().await;
    let again = world
        .post("/v1/task/again", JSON, "", br#"{"task_id":1}"#)
        .await;
    assert_eq!(
        (again.status, again.text().as_str()),
        (200, r#"{"task_id":1}"#)
    );
    assert_eq!(
        world.fake.files.lock().unwrap().as_slice(),
        [b"PK\x03\x04.."]
    );
    let again = world
        .post("/v1/task/again", JSON, "", br#"{"task_id":7}"#)
        .await;
    assert_eq!(again.status, 400);
    let journal = world.get("/v1/board/journal?limit=2&before=3").await.text();
    assert_eq!(
        journal,
        r#"{"earlier":0,"lines":[{"number":1},{"number":2}]}"#
    );
    let network = world.get("/v1/board/network").await.text();
    assert!(
        network.contains(r#""name":"<b>n1</b>""#) && network.contains(r#""trust":"first use""#)
    );
    let check = world.get("/v1/board/check").await.text();
    assert_eq!(
        check,
        r#"{"findings":[{"level":"warn","name":"tls","detail":"it has none"}]}"#
    );
    let dataset = world.get("/v1/board/dataset?name=wages.csv").await.text();
    assert!(
        dataset.contains(
            r#""columns":[{"name":"wage","type":null,"role":null},{"name":"age","type":"integer","role":null}]"#
        ),
        "{dataset}"
    );
    assert_eq!(world.get("/v1/board/dataset?name=..%2Fx").await.status, 400);
    let node = world.get("/v1/board/node").await.text();
    assert!(
        node.contains(r#""tasks":1,"most_tasks":16,"followed":2,"waiting":1"#),
        "{node}"
    );
}

/// Reads from a stream until it has said this.
async fn hear(stream: &mut TcpStream, heard: &mut String, words: &str) {
    let reading = async {
        let mut piece = [0; 4096];
        while !heard.contains(words) {
            let n = stream.read(&mut piece).await.unwrap();
            assert!(n > 0, "the stream ended after {heard}");
            heard.push_str(&String::from_utf8_lossy(&piece[..n]));
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), reading).await;
    assert!(in_time.is_ok(), "{words} was never said: {heard}");
}

async fn listen(world: &World, query: &str) -> TcpStream {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let request = format!(
        "GET /v1/board/events{query} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_page_hears_what_changes_until_the_server_stops() {
    let world = World::start().await;
    let mut heard = String::new();
    let mut stream = listen(&world, "?task_id=1&round=1&log=2").await;
    hear(&mut stream, &mut heard, "event: logs").await;
    assert!(heard.contains("content-type: text/event-stream"), "{heard}");
    // Of rounds and lines only those that it does not have.
    assert!(
        heard.contains(r#""start":1"#) && !heard.contains(r#""loss""#),
        "{heard}"
    );
    assert!(
        heard.contains("[Create Task]") && !heard.contains("start run task"),
        "{heard}"
    );
    world.fake.news.tell(News::Approvals);
    hear(&mut stream, &mut heard, "event: approvals").await;
    assert!(!heard.contains("event: tasks"));
    world.fake.news.tell(News::Task(7));
    hear(&mut stream, &mut heard, "event: tasks").await;
    world.stop.cancel();
    let ending = async {
        let mut rest = Vec::new();
        let _reset = stream.read_to_end(&mut rest).await;
        world.server.ended().await.unwrap();
    };
    let grace = HttpOptions::default().shutdown_grace;
    let ended = tokio::time::timeout(grace, ending).await;
    assert!(ended.is_ok(), "an open page holds the server up");
}

#[tokio::test]
async fn pages_that_follow_are_few() {
    let world = World::with(HttpOptions {
        max_pages: 1,
        ..HttpOptions::default()
    })
    .await;
    let mut heard = String::new();
    let mut first = listen(&world, "").await;
    hear(&mut first, &mut heard, "hello").await;
    assert_eq!(world.get("/v1/board/events").await.status, 406);
    let mut second = listen(&world, "").await;
    let mut head = [0; 12];
    second.read_exact(&mut head).await.unwrap();
    assert!(head.ends_with(b"503"), "{}", String::from_utf8_lossy(&head));
    drop(first);
    // Its place is free as soon as the server has noticed.
    for _ in 0..100 {
        let mut again = listen(&world, "").await;
        let mut head = [0; 12];
        again.read_exact(&mut head).await.unwrap();
        if head.ends_with(b"200") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the place of a page that is gone stays taken");
}
