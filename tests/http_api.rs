//! The HTTP API from outside: recorded requests get recorded answers (docs/protocol/http.md), and nothing that is sent brings the server down.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods
)]

#[path = "http_api/approvals.rs"]
mod approvals;
#[path = "http_api/board.rs"]
mod board;
#[path = "http_api/doors.rs"]
mod doors;
mod http_world;
#[path = "http_api/operating.rs"]
mod operating;
#[path = "http_api/shares.rs"]
mod shares;
#[path = "http_api/tls.rs"]
mod tls;

use std::sync::Arc;
use std::time::Duration;

use delta_node::adapters::http::{HttpOptions, endpoints};
use delta_node::domain::ids::{Digest, RoundNumber};
use delta_node::domain::round::DeclineCode;
use delta_node::domain::round::message::RequestBody;
use delta_node::ports::peer::RejectionKind;
use delta_testing::contracts::peer::moves::{MEMBERS, TASK, member, request};
use http_world::{Answer, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const JSON: &str = "application/json";
const FORM: &str = "multipart/form-data; boundary=B";
const MISSING_FILE: &str =
    r#"{"detail":[{"loc":["body","file"],"msg":"field required","type":"value_error.missing"}]}"#;
const SUCCESS: &str = r#"{"success":true}"#;

fn file_part(content: &str) -> String {
    format!(
        "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"task_file.pkl\"\r\nContent-Type: application/octet-stream\r\n\r\n{content}\r\n"
    )
}

fn text_part(name: &str, value: &str) -> String {
    format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

/// Texts and file of a result.
fn result_form(round: &str, content: &str) -> String {
    [
        text_part("address", MEMBERS[1]),
        text_part("task_id", TASK),
        text_part("round", round),
        file_part(content),
        "--B--\r\n".into(),
    ]
    .concat()
}

fn signature_head(content: &[u8], len: usize) -> String {
    format!(
        "x-delta-digest: {}\r\nx-delta-length: {len}\r\nx-delta-view: {}\r\nx-delta-signature: 0x000102ff\r\n",
        Digest::of(content),
        Digest([0x5a; 32])
    )
}

#[tokio::test]
async fn recorded_gets_have_recorded_answers() {
    let world = World::start().await;
    let finished = r#"{"id":1,"created_at":1795329517000,"name":"wage_avg","type":"horizontal","creator":"0x277adef31ac745db719e1ac9d5fc7c0c1bb3c07f","status":"FINISHED","enable_verify":false}"#;
    let pending = r#"{"id":2,"created_at":1795329517000,"name":"wage_avg","type":"horizontal","creator":"","status":"PENDING","enable_verify":false}"#;
    let big = format!("1{}", "0".repeat(30));
    let who = format!(
        r#""who":["{}","{}"],"lost":["{}"]"#,
        MEMBERS[0], MEMBERS[1], MEMBERS[2]
    );
    let phases = format!(
        r#""phases":[{{"phase":"AdvertiseKeys","seconds":0.25,"last":["{}"]}}]"#,
        MEMBERS[1]
    );
    let fault = |name: &str, msg: &str, kind: &str, ctx: &str| {
        format!(r#"{{"detail":[{{"loc":["query","{name}"],"msg":"{msg}","type":"{kind}"{ctx}}}]}}"#)
    };
    let missing = |name: &str| fault(name, "field required", "value_error.missing", "");
    let not_int = |name: &str| {
        fault(
            name,
            "value is not a valid integer",
            "type_error.integer",
            "",
        )
    };
    let at_least = |name: &str, n: i32| {
        fault(
            name,
            &format!("ensure this value is greater than or equal to {n}"),
            "value_error.number.not_ge",
            &format!(r#","ctx":{{"limit_value":{n}}}"#),
        )
    };
    let more_than = |name: &str, n: i32| {
        fault(
            name,
            &format!("ensure this value is greater than {n}"),
            "value_error.number.not_gt",
            &format!(r#","ctx":{{"limit_value":{n}}}"#),
        )
    };
    let hex = |name: &str| {
        fault(
            name,
            r#"string does not match regex \"0x[0-9a-fA-F]+\""#,
            "value_error.str.regex",
            r#","ctx":{"pattern":"0x[0-9a-fA-F]+"}"#,
        )
    };
    let order = fault(
        "order",
        r#"string does not match regex \"^asc|desc$\""#,
        "value_error.str.regex",
        r#","ctx":{"pattern":"^asc|desc$"}"#,
    );
    let detail = |text: &str| format!(r#"{{"detail":"{text}"}}"#);
    let cases: Vec<(String, u16, String)> = vec![
        ("/v1/task/metadata?task_id=1".into(), 200, finished.into()),
        ("/v1/task/metadata?task_id=2".into(), 200, pending.into()),
        ("/v1/task/metadata?task_id=99".into(), 400, detail("task 99 does not exist")),
        ("/v1/task/metadata".into(), 422, missing("task_id")),
        ("/v1/task/metadata?task_id=0".into(), 422, at_least("task_id", 1)),
        ("/v1/task/metadata?task_id=abc".into(), 422, not_int("task_id")),
        (format!("/v1/task/metadata?task_id={big}"), 400, detail(&format!("task {big} does not exist"))),
        ("/v1/task/status?task_id=1".into(), 200, r#"{"status":2}"#.into()),
        ("/v1/task/status?task_id=99".into(), 400, detail("task 99 does not exist")),
        ("/v1/task/list?task_ids=1&task_ids=99&task_ids=1".into(), 200, format!("[{finished},{finished}]")),
        ("/v1/task/list?task_ids=98&task_ids=99".into(), 200, "[]".into()),
        (format!("/v1/task/list?task_ids={big}"), 200, "[]".into()),
        ("/v1/task/list".into(), 422, missing("task_ids")),
        (
            "/v1/task/list?task_ids=1,2".into(),
            422,
            r#"{"detail":[{"loc":["query","task_ids",0],"msg":"value is not a valid integer","type":"type_error.integer"}]}"#.into(),
        ),
        ("/v1/tasks?page=1&page_size=10".into(), 200, format!(r#"{{"tasks":[{pending},{finished}],"total_pages":1}}"#)),
        ("/v1/tasks?page_size=1&order=asc".into(), 200, format!(r#"{{"tasks":[{finished},{pending}],"total_pages":2}}"#)),
        (format!("/v1/tasks?page={big}"), 200, r#"{"tasks":[],"total_pages":1}"#.into()),
        ("/v1/tasks?page=0".into(), 422, at_least("page", 1)),
        ("/v1/tasks?page_size=0".into(), 422, more_than("page_size", 0)),
        ("/v1/tasks?order=xyz".into(), 422, order.clone()),
        ("/v1/tasks?order=ascending".into(), 422, order),
        (
            "/v1/task/logs?task_id=1&start=0&limit=3".into(),
            200,
            r#"[{"id":1,"created_at":1795329518000,"message":"start run task 0x55","tx_hash":null},{"id":2,"created_at":1795329518000,"message":"[Create Task] create task 0x55","tx_hash":"0x66a74772"}]"#.into(),
        ),
        ("/v1/task/logs?task_id=1&start=10000".into(), 200, "[]".into()),
        ("/v1/task/logs?task_id=99".into(), 400, detail("task 99 does not exist")),
        ("/v1/task/logs?task_id=1&limit=0".into(), 422, more_than("limit", 0)),
        ("/v1/task/logs?task_id=1&start=-1".into(), 422, at_least("start", 0)),
        ("/v1/task/result?task_id=2".into(), 400, detail("task 2 is not finished")),
        ("/v1/task/result?task_id=99".into(), 400, detail("task 99 does not exist")),
        (
            "/v1/task/progress?task_id=1".into(),
            200,
            format!(
                r#"{{"status":"FINISHED","round":1,"rounds":4,"phase":"MaskedInput","waits_for":"MaskedInput of {}","asks_owner":[],"until":0,"number":3,"since":7,"phases":[],"error":null,"history":[{{"round":1,"seconds":0.5,"members":2,"dropped":1,"failed":1,"error":null,"metrics":{{"gap":null,"loss":0.25}},{who},{phases}}},{{"round":2,"seconds":0.5,"members":2,"dropped":1,"failed":0,"error":"too few members","metrics":{{}},{who},{phases}}}]}}"#,
                MEMBERS[1]
            ),
        ),
        (
            "/v1/task/progress?task_id=1&start=2".into(),
            200,
            format!(
                r#"{{"status":"FINISHED","round":1,"rounds":4,"phase":"MaskedInput","waits_for":"MaskedInput of {}","asks_owner":[],"until":0,"number":3,"since":7,"phases":[],"error":null,"history":[]}}"#,
                MEMBERS[1]
            ),
        ),
        (
            "/v1/task/progress?task_id=2".into(),
            200,
            r#"{"status":"PENDING","round":0,"rounds":0,"phase":"","waits_for":null,"asks_owner":[],"until":null,"number":0,"since":null,"phases":[],"error":null,"history":[]}"#.into(),
        ),
        ("/v1/task/progress?task_id=99".into(), 400, detail("task 99 does not exist")),
        ("/v1/task/progress?task_id=1&start=-1".into(), 422, at_least("start", 0)),
        (
            "/v1/task/certificate?task_id=1".into(),
            400,
            detail("task 1 has no certificate: it asks for none"),
        ),
        ("/v1/task/certificate?task_id=99".into(), 400, detail("task 99 does not exist")),
        ("/v1/task/checkpoint?task_id=2".into(), 400, detail("task 2 has finished no round")),
        ("/v1/task/checkpoint?task_id=99".into(), 400, detail("task 99 does not exist")),
        ("/v1/task/bundle?task_id=99".into(), 400, detail("task 99 does not exist")),
        ("/v1/task/limits".into(), 200, r#"{"bundle_bytes":1073741824,"by_disk":false}"#.into()),
        ("/v1/nodes?page=9&page_size=2".into(), 200, r#"{"nodes":[],"total_pages":2}"#.into()),
        (
            format!("/v1/identity/seen?address={}", MEMBERS[1]),
            200,
            r#"{"seen":true}"#.into(),
        ),
        (
            format!("/v1/identity/seen?address={}", MEMBERS[2]),
            200,
            r#"{"seen":null}"#.into(),
        ),
        ("/v1/identity/seen".into(), 422, missing("address")),
        (
            "/v1/nodes?page=1&page_size=1".into(),
            200,
            format!(r#"{{"nodes":[{{"id":"{}","url":"http://127.0.0.1:16900","name":"n1"}}],"total_pages":3}}"#, MEMBERS[0]),
        ),
        ("/v1/nodes".into(), 422, missing("page")),
        ("/v1/coord/certificate?task_id=0xdead".into(), 422, missing("key")),
        (format!("/v1/coord/certificate?task_id=0xdead&key=0x{}", "1".repeat(65)), 400, detail("key is not a digest of 32 bytes")),
        (
            format!("/v1/coord/certificate?task_id={TASK}&key=0x{}", "0".repeat(64)),
            400,
            detail("the task has no certificate"),
        ),
        ("/v1/coord/config?task_id=dead".into(), 422, hex("task_id")),
        ("/v1/coord/config?task_id=0x1/../..".into(), 422, hex("task_id")),
        ("/v1/coord/config?task_id=0xdead".into(), 400, detail("task 0xdead does not exist")),
        ("/v1/coord/context?task_id=0xdead&name=x".into(), 400, detail("task 0xdead has not started or has finished")),
        ("/v1/coord/weight?round=1&task_id=0xdead".into(), 400, detail("task 0xdead does not exist")),
        (format!("/v1/coord/weight?round=1&task_id={TASK}"), 400, detail(&format!("task {TASK} does not exist"))),
        (
            "/v1/coord/secret_shares".into(),
            422,
            r#"{"detail":[{"loc":["query","address"],"msg":"field required","type":"value_error.missing"},{"loc":["query","task_id"],"msg":"field required","type":"value_error.missing"},{"loc":["query","round"],"msg":"field required","type":"value_error.missing"}]}"#.into(),
        ),
        (format!("/v1/coord/secret_shares?address={}&task_id=0xdead&round=1", MEMBERS[1]), 400, detail("task does not exist")),
        (format!("/v1/coord/secret_shares?address=0xdeadbeef&task_id={TASK}&round=1"), 400, detail("member 0xdeadbeef does not exists")),
        (format!("/v1/coord/secret_shares?address={}&task_id={TASK}&round={big}", MEMBERS[1]), 400, detail("task round does not exist")),
        (format!("/v1/coord/round?task_id={TASK}&round=7"), 400, detail("task round does not exist")),
        ("/nowhere".into(), 404, detail("Not Found")),
    ];
    for (target, status, body) in cases {
        let answer = world.get(&target).await;
        assert_eq!((answer.status, answer.text()), (status, body), "{target}");
        assert!(
            answer.head.contains("content-type: application/json"),
            "{target}: {}",
            answer.head
        );
    }
}

#[tokio::test]
async fn files_come_chunked_as_attachments() {
    let world = World::start().await;
    for (target, filename, len) in [
        (
            "/v1/task/result?task_id=1".to_owned(),
            "1.result".to_owned(),
            6,
        ),
        (
            "/v1/task/bundle?task_id=1".to_owned(),
            "1.delta".to_owned(),
            6,
        ),
        (
            "/v1/task/checkpoint?task_id=1".to_owned(),
            "1.checkpoint".to_owned(),
            6,
        ),
        (
            format!("/v1/coord/config?task_id={TASK}"),
            format!("{TASK}.config"),
            3541,
        ),
    ] {
        let answer = world.get(&target).await;
        assert_eq!((answer.status, answer.body.len()), (200, len), "{target}");
        for line in [
            &format!("content-disposition: attachment; filename={filename}"),
            "content-type: application/octet-stream",
            "transfer-encoding: chunked",
        ] {
            assert!(answer.head.contains(line), "{target}: {}", answer.head);
        }
    }
}

#[tokio::test]
async fn a_variable_needs_a_signed_request() {
    let world = World::start().await;
    let target = format!(
        "/v1/coord/context?task_id={TASK}&name=weights&round=1&address={}",
        MEMBERS[1]
    );
    assert_eq!(world.get(&target).await.status, 403);
    assert_eq!(
        world
            .get(&format!("/v1/coord/context?task_id={TASK}&name=weights"))
            .await
            .status,
        403
    );
    let signed = |target: &str| {
        format!(
            "GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{}\r\n",
            signature_head(b"", 0)
        )
    };
    let answer = world.send(signed(&target).as_bytes()).await;
    assert_eq!((answer.status, answer.body.len()), (200, 3541));
    assert!(
        answer
            .head
            .contains(&format!("filename={TASK}_weights.ctx"))
    );
    assert_eq!(
        world.fake.taken(),
        [request(RequestBody::Variable {
            name: "weights".parse().unwrap()
        })]
    );
    let answer = world
        .send(signed(&target.replace("weights", "..%2Fx")).as_bytes())
        .await;
    assert_eq!(answer.status, 400);
    assert!(world.fake.taken().is_empty());
}

#[tokio::test]
async fn other_methods_and_trailing_slashes_are_answered_as_recorded() {
    let world = World::start().await;
    for (method, path, _) in endpoints() {
        let wrong = if method == "GET" { "DELETE" } else { "PUT" };
        for verb in [wrong, "OPTIONS", "PATCH"] {
            let answer = world
                .send(
                    format!(
                        "{verb} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
                    )
                    .as_bytes(),
                )
                .await;
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (405, r#"{"detail":"Method Not Allowed"}"#),
                "{verb} {path}"
            );
            assert!(answer.head.contains("allow: "), "{path}");
        }
        let answer = world
            .send(
                format!("HEAD {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                    .as_bytes(),
            )
            .await;
        assert_eq!((answer.status, answer.body.len()), (405, 0), "HEAD {path}");
        if path != "/" {
            let answer = world.get(&format!("{path}/?a=b")).await;
            assert_eq!(answer.status, 307, "{path}/");
            assert!(
                answer.head.contains(&format!("location: {path}?a=b")),
                "{}",
                answer.head
            );
        }
    }
}

#[tokio::test]
async fn the_openapi_document_lists_what_is_routed_and_nothing_else() {
    let world = World::start().await;
    let document: serde_json::Value =
        serde_json::from_slice(&world.get("/openapi.json").await.body).unwrap();
    let mut documented = Vec::new();
    for (path, verbs) in document["paths"].as_object().unwrap() {
        for (verb, endpoint) in verbs.as_object().unwrap() {
            let access = endpoint["x-access"].as_str().unwrap_or_default();
            let scope = endpoint["x-scope"].as_str().map(str::to_owned);
            // A token, or an address that is trusted; members sign; everybody else shows nothing.
            let security = match access {
                "author" | "owner" => serde_json::json!([{"token": []}, {}]),
                "member" => serde_json::json!([{"signature": []}]),
                _ => serde_json::json!([]),
            };
            assert_eq!(endpoint["security"], security, "{verb} {path}");
            let asks = endpoint["responses"].get("401").is_some();
            assert_eq!(asks, scope.is_some(), "{verb} {path}");
            documented.push((verb.to_uppercase(), path.clone(), access.to_owned(), scope));
        }
    }
    let schemes = document["components"]["securitySchemes"]
        .as_object()
        .unwrap();
    assert!(schemes["token"]["scheme"] == "bearer" && schemes["signature"]["in"] == "header");
    let mut routed: Vec<_> = endpoints()
        .map(|(verb, path, access)| {
            let scope = access.scope().map(|s| s.name().to_owned());
            (
                verb.to_owned(),
                path.to_owned(),
                access.name().to_owned(),
                scope,
            )
        })
        .collect();
    documented.sort();
    routed.sort();
    assert_eq!(documented, routed);
    for (verb, path, ..) in routed {
        let answer = world
            .send(
                format!("{verb} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                    .as_bytes(),
            )
            .await;
        assert!(
            !matches!(answer.status, 0 | 404 | 405 | 500),
            "{verb} {path}: {}",
            answer.status
        );
    }
}

#[tokio::test]
async fn a_door_with_nobody_behind_it_is_not_found() {
    let world = World::for_members().await;
    for path in [
        "/v1/tasks",
        "/v1/task/status?task_id=1",
        "/v1/nodes?page=1",
        "/readyz",
    ] {
        assert_eq!(world.get(path).await.status, 404, "{path}");
    }
    let round = format!("/v1/coord/round?task_id={TASK}&round=1");
    for path in ["/healthz", &round] {
        assert_eq!(world.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn health_readiness_and_the_index_are_there() {
    let world = World::start().await;
    assert_eq!(world.get("/healthz").await.text(), r#"{"status":"ok"}"#);
    let ready = world.get("/readyz").await;
    assert_eq!(
        (ready.status, ready.text().as_str()),
        (
            200,
            r#"{"status":"ready","checks":[{"name":"connector","ok":true,"detail":"it answers"}]}"#
        )
    );
    *world.fake.unready.lock().unwrap() = true;
    assert_eq!(world.get("/readyz").await.status, 503);
    assert_eq!(world.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_task_is_submitted_as_a_file_among_other_parts() {
    let world = World::start().await;
    let config = "--B\r\nContent-Disposition: form-data; name=\"config\"; filename=\"task_config_file.pkl\"\r\n\r\nwhatever\r\n";
    let content = "x".repeat(300_000);
    let expected = |answer: &Answer| {
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, r#"{"task_id":1}"#)
        )
    };
    expected(
        &world
            .post(
                "/v1/task",
                FORM,
                "",
                [&file_part(&content), config, "--B--\r\n"]
                    .concat()
                    .as_bytes(),
            )
            .await,
    );
    expected(
        &world
            .post(
                "/v1/task",
                FORM,
                "",
                [config, &file_part(&content), "--B--\r\n"]
                    .concat()
                    .as_bytes(),
            )
            .await,
    );
    assert_eq!(
        world.fake.files.lock().unwrap().as_slice(),
        [content.as_bytes(), content.as_bytes()]
    );
}

#[tokio::test]
async fn wrong_submissions_are_answered_as_recorded() {
    let world = World::start().await;
    let as_text = r#"{"detail":[{"loc":["body","file"],"msg":"Expected UploadFile, received: <class 'str'>","type":"value_error"}]}"#;
    let whole = |part: &str| format!("{part}--B--\r\n").into_bytes();
    for (content_type, body, status, expected) in [
        ("text/plain", vec![], 422, MISSING_FILE),
        (FORM, whole(""), 422, MISSING_FILE),
        (FORM, whole(&text_part("file", "text")), 422, as_text),
        (
            "application/x-www-form-urlencoded",
            b"file=text".to_vec(),
            422,
            as_text,
        ),
        (
            "application/x-www-form-urlencoded",
            b"other=text".to_vec(),
            422,
            MISSING_FILE,
        ),
        (
            FORM,
            whole(&file_part("nonsense")),
            400,
            r#"{"detail":"unknown task type nonsense"}"#,
        ),
        (
            FORM,
            whole(&file_part("broken disk")),
            500,
            r#"{"detail":"internal error"}"#,
        ),
        (
            FORM,
            whole(&file_part("full disk")),
            503,
            r#"{"detail":"the node cannot do this now; try again later"}"#,
        ),
        (
            FORM,
            file_part("cut off").into_bytes(),
            400,
            r#"{"detail":"There was an error parsing the body"}"#,
        ),
        (
            "multipart/form-data",
            whole(&file_part("no boundary")),
            400,
            r#"{"detail":"There was an error parsing the body"}"#,
        ),
    ] {
        let answer = world.post("/v1/task", content_type, "", &body).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (status, expected),
            "{content_type} {}",
            String::from_utf8_lossy(&body)
        );
    }
    assert!(world.fake.files.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_bundle_beyond_the_limit_is_refused_announced_or_not() {
    let world = World::with(HttpOptions {
        max_bundle_bytes: 1000,
        ..HttpOptions::default()
    })
    .await;
    let form = [&file_part(&"x".repeat(1001)), "--B--\r\n"].concat();
    let too_large = r#"{"detail":"the body is larger than 1000 bytes"}"#;
    let answer = world.post("/v1/task", FORM, "", form.as_bytes()).await;
    assert_eq!((answer.status, answer.text().as_str()), (413, too_large));
    let chunked = format!(
        "POST /v1/task HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {FORM}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{form}\r\n0\r\n\r\n",
        form.len()
    );
    assert_eq!(world.send(chunked.as_bytes()).await.status, 413);
    let huge = format!(
        "POST /v1/task HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {FORM}\r\ncontent-length: 99999999999\r\n\r\n"
    );
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(huge.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
    let fits = [&file_part(&"x".repeat(1000)), "--B--\r\n"].concat();
    assert_eq!(
        world
            .post("/v1/task", FORM, "", fits.as_bytes())
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_result_is_streamed_with_what_was_signed() {
    let world = World::start().await;
    let content = "r".repeat(100_000);
    let head = signature_head(content.as_bytes(), content.len());
    let answer = world
        .post(
            "/v1/coord/result",
            FORM,
            &head,
            result_form("1", &content).as_bytes(),
        )
        .await;
    assert_eq!((answer.status, answer.text().as_str()), (200, SUCCESS));
    let body = RequestBody::Result {
        digest: Digest::of(content.as_bytes()),
        len: 100_000,
    };
    assert_eq!(world.fake.taken(), [request(body)]);
    assert_eq!(
        world.fake.files.lock().unwrap().as_slice(),
        [content.as_bytes()]
    );
}

#[tokio::test]
async fn wrong_results_are_refused() {
    let world = World::start().await;
    let head = signature_head(b"12345", 5);
    let bad_id = r#"{"detail":[{"loc":["body","task_id"],"msg":"string does not match regex \"0x[0-9a-fA-F]+\"","type":"value_error.str.regex","ctx":{"pattern":"0x[0-9a-fA-F]+"}}]}"#;
    let bad_round = r#"{"detail":[{"loc":["body","round"],"msg":"value is not a valid integer","type":"type_error.integer"}]}"#;
    let form = result_form("1", "12345");
    let no_file = [
        text_part("address", MEMBERS[1]),
        text_part("task_id", TASK),
        text_part("round", "1"),
        "--B--\r\n".into(),
    ]
    .concat();
    for (head, form, status, expected) in [
        (&head, no_file, 422, MISSING_FILE),
        (&head, form.replace(TASK, "../../etc"), 422, bad_id),
        (&head, result_form("abc", "12345"), 422, bad_round),
        (
            &head,
            form.replace(TASK, "0xdead"),
            400,
            r#"{"detail":"task does not exist"}"#,
        ),
        (
            &head,
            form.replace(MEMBERS[1], "../../x"),
            400,
            r#"{"detail":"member ../../x is not allowed"}"#,
        ),
        (
            &head,
            result_form("1", "123456"),
            413,
            r#"{"detail":"the body is larger than 5 bytes"}"#,
        ),
        (
            &head,
            result_form("1", "1234"),
            400,
            r#"{"detail":"the file has 4 bytes where 5 were announced"}"#,
        ),
        (
            &head,
            form[..form.len() - 10].to_owned(),
            400,
            r#"{"detail":"There was an error parsing the body"}"#,
        ),
        (
            &String::new(),
            form.clone(),
            403,
            r#"{"detail":"a result must be signed: the headers x-delta-digest, x-delta-length, x-delta-view and x-delta-signature are needed"}"#,
        ),
        (
            &head.replace("0x000102ff", "0x0"),
            form.clone(),
            400,
            r#"{"detail":"x-delta-signature is not 0x[0-9a-fA-F]+ with an even number of digits"}"#,
        ),
        (
            &head.replace("0x5a", "5a"),
            form,
            400,
            r#"{"detail":"x-delta-view is not 0x and 64 hex digits"}"#,
        ),
    ] {
        let answer = world
            .post("/v1/coord/result", FORM, head, form.as_bytes())
            .await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (status, expected),
            "{form}"
        );
    }
    assert!(world.fake.files.lock().unwrap().is_empty());
    let answer = world
        .post(
            "/v1/coord/result",
            FORM,
            &head,
            result_form("1", &"x".repeat(3 << 20)).as_bytes(),
        )
        .await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn notices_arrive_and_refusals_have_their_statuses() {
    let world = World::start().await;
    let body = format!(
        r#"{{"address":"{}","task_id":"{TASK}","round":1,"reason":"no_such_data"}}"#,
        MEMBERS[1]
    );
    let head = signature_head(b"", 0);
    for (path, expected) in [
        ("joined", RequestBody::Joined),
        ("attend", RequestBody::Attend),
        ("depart", RequestBody::Depart),
        ("revealed", RequestBody::Revealed),
        (
            "decline",
            RequestBody::Decline {
                reason: DeclineCode::NoSuchData,
            },
        ),
    ] {
        let answer = world
            .post(&format!("/v1/coord/{path}"), JSON, &head, body.as_bytes())
            .await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, SUCCESS),
            "{path}"
        );
        assert_eq!(world.fake.taken(), [request(expected)]);
    }
    for (kind, status, detail) in [
        (RejectionKind::Invalid, 400, "round is not in running phase"),
        (RejectionKind::Forbidden, 403, "member is not allowed"),
        (RejectionKind::TooLarge, 413, "too much"),
        (RejectionKind::Unavailable, 503, "not now"),
        (RejectionKind::Internal, 500, "internal error"),
    ] {
        world.fake.refuse_next(
            kind,
            if kind == RejectionKind::Internal {
                "a secret detail"
            } else {
                detail
            },
        );
        let answer = world
            .post("/v1/coord/joined", JSON, &head, body.as_bytes())
            .await;
        assert_eq!(
            (answer.status, answer.text()),
            (status, format!(r#"{{"detail":"{detail}"}}"#))
        );
    }
    let answer = world
        .post("/v1/coord/metrics", JSON, "", br#"{"metrics":{"loss":3}}"#)
        .await;
    assert_eq!(answer.status, 400);
    let view: serde_json::Value = serde_json::from_slice(
        &world
            .get(&format!("/v1/coord/round?task_id={TASK}&round=1"))
            .await
            .body,
    )
    .unwrap();
    assert_eq!(view["announcement"]["step"], 3);
    assert_eq!(view["u1"][2], member(2).as_str());
}

/// A small generator: the same garbage on every run.
struct Garbage(u64);

impl Garbage {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

#[tokio::test]
async fn garbage_is_never_a_500_and_never_the_end() {
    let world = World::start().await;
    let mut garbage = Garbage(0x9e37_79b9_7f4a_7c15);
    let mut form_cut = result_form("1", &"y".repeat(1000)).into_bytes();
    form_cut.truncate(700);
    let huge_head = format!(
        "--B\r\nContent-Disposition: form-data; name=\"{}",
        "z".repeat(200_000)
    )
    .into_bytes();
    let mut bodies: Vec<(&str, Vec<u8>)> = vec![
        (JSON, b"null".to_vec()),
        (JSON, b"[1,2,3]".to_vec()),
        (JSON, vec![b'['; 100_000]),
        (JSON, br#"{"address":{},"task_id":[],"round":1e400,"shares":{"a":1},"reason":7}"#.to_vec()),
        (JSON, br#"{"address":null,"task_id":true,"round":1.5,"shares":[null,1,"x",[],{}],"reason":null}"#.to_vec()),
        (JSON, format!(r#"{{"address":"{}","round":{}}}"#, "a".repeat(30_000), "9".repeat(500)).into_bytes()),
        (JSON, b"{\"\xff\xfe\":1}".to_vec()),
        (JSON, br#"{"address":"\ud800"}"#.to_vec()),
        (JSON, vec![b' '; 70_000]),
        ("text/plain", b"{}".to_vec()),
        ("\u{e9}", b"{}".to_vec()),
        (FORM, form_cut),
        (FORM, huge_head),
        (FORM, b"--B--\r\n".to_vec()),
        (FORM, b"--B\r\n\r\n\r\n--B--".to_vec()),
        ("multipart/form-data; boundary=", b"----".to_vec()),
        ("application/x-www-form-urlencoded", b"%%%=&&file".to_vec()),
    ];
    for len in [0, 1, 100, 10_000] {
        for content_type in [JSON, FORM, "application/octet-stream"] {
            bodies.push((content_type, garbage.bytes(len)));
        }
    }
    for (verb, path, _) in endpoints().filter(|(verb, ..)| *verb == "POST") {
        for (content_type, body) in &bodies {
            for head in ["", &signature_head(b"", 7)] {
                let answer = world.post(path, content_type, head, body).await;
                assert!(
                    (400..500).contains(&answer.status),
                    "{verb} {path} {content_type} {:?}: {answer:?}",
                    String::from_utf8_lossy(body)
                );
            }
        }
    }
    let queries = [
        "task_id=&name=&round=&address=",
        "task_id=%00&round=%ff",
        "task_id=0x&round=99999999999999999999999999999999999999999999",
        "&&&==",
        "task_id=-1&page=-1&page_size=99999999999&order=%&limit=1e3&start=nan",
        "task_id=%F0%9F%98%80&page=\u{7f}",
    ];
    for (_, path, _) in
        endpoints().filter(|(verb, path, _)| *verb == "GET" && path.starts_with("/v1"))
    {
        for query in queries {
            let answer = world.get(&format!("{path}?{query}")).await;
            assert!(
                (200..500).contains(&answer.status),
                "{path}?{query}: {answer:?}"
            );
        }
    }
    for raw in [
        garbage.bytes(300),
        b"\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000)).into_bytes(),
    ] {
        let answer = world
            .send_and_hang_up(&[raw.as_slice(), b"\r\n\r\n"].concat())
            .await;
        assert!(
            answer.status == 0 || (400..500).contains(&answer.status),
            "{answer:?}"
        );
    }
    assert!(world.fake.files.lock().unwrap().is_empty());
    assert_eq!(world.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn bodies_beyond_their_limits_are_413() {
    let world = World::start().await;
    let answer = world
        .post("/v1/coord/joined", JSON, "", &vec![b'1'; (64 << 10) + 1])
        .await;
    assert_eq!(answer.status, 413);
    let mut many = br#"{"shares":["#.to_vec();
    many.extend(b"{},".repeat(200_000));
    assert_eq!(
        world
            .post("/v1/coord/secret_shares", JSON, "", &many)
            .await
            .status,
        413
    );
}

#[tokio::test]
async fn a_head_or_body_that_does_not_come_is_given_up() {
    let soon = Duration::from_millis(100);
    let world = World::with(HttpOptions {
        head_within: soon,
        body_idle: soon,
        ..HttpOptions::default()
    })
    .await;
    for (start, status) in [
        ("GET /healthz HTTP/1.1\r\nhost:", 0),
        (
            "POST /v1/coord/joined HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{",
            408,
        ),
        (
            "POST /v1/task HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: multipart/form-data; boundary=B\r\ncontent-length: 100\r\n\r\n--B",
            408,
        ),
    ] {
        let answer = world.send(start.as_bytes()).await;
        assert!(
            answer.status == status || (status == 0 && answer.status == 408),
            "{start}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn one_connection_too_many_is_told_to_come_back() {
    let world = World::with(HttpOptions {
        max_connections: 1,
        ..HttpOptions::default()
    })
    .await;
    // This machine's own addresses have eight places however few there are.
    let mut busy = Vec::new();
    for _ in 0..8 {
        let mut one = TcpStream::connect(world.address).await.unwrap();
        // At work: half a body is still to come.
        one.write_all(b"POST /v1/coord/joined HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n")
            .await
            .unwrap();
        let mut some = [0; 64];
        assert!(one.read(&mut some).await.unwrap() > 0);
        busy.push(one);
    }
    let answer = world.get("/healthz").await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (503, r#"{"detail":"the node is busy; try again later"}"#)
    );
    busy.pop();
    // The slot is free as soon as the server has seen the end of a connection.
    let mut status = 503;
    while status == 503 {
        status = world.get("/healthz").await.status;
    }
    assert_eq!(status, 200);
}

#[tokio::test]
async fn shutting_down_ends_what_is_under_way_and_takes_nothing_new() {
    let world = World::start().await;
    let mut upload = TcpStream::connect(world.address).await.unwrap();
    let form = result_form("1", "12345");
    let (first, second) = form.split_at(200);
    let head = format!(
        "POST /v1/coord/result HTTP/1.1\r\nhost: localhost\r\ncontent-type: {FORM}\r\ncontent-length: {}\r\n{}expect: 100-continue\r\n\r\n",
        form.len(),
        signature_head(b"12345", 5)
    );
    upload.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    upload.read_exact(&mut go_on).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"));
    upload.write_all(first.as_bytes()).await.unwrap();
    let World {
        address,
        fake,
        stop,
        server,
    } = world;
    stop.cancel();
    upload.write_all(second.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    upload.read_to_end(&mut answer).await.unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    server.ended().await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(fake.taken()[0].round, RoundNumber(1));
    assert_eq!(Arc::strong_count(&fake), 1);
    assert_eq!(Arc::strong_count(&fake.recorder), 1);
}
