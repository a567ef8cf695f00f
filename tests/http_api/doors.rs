//! Who is let in: every endpoint as a stranger, a trusted address and the holder of a token meet it.
//!
//! Strangers call from 127.0.0.2: the node trusts 127.0.0.1 as a network, and loopback as such not.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use delta_node::adapters::http::{Access, Admission, KnownTokens, Serves, endpoints};
use delta_node::domain::access::{Scope, Token, TokenSecret};
use delta_node::domain::time::Timestamp;
use delta_node::ports::clock::Clock;
use delta_node::ports::entropy::Entropy as _;
use delta_node::ports::tokens::TokenStore as _;
use delta_testing::memory::{MemoryTokens, SeededEntropy};

use super::http_world::{Answer, World};

const TRUSTED: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const NOW: Timestamp = Timestamp(1_000_000);

/// A clock that stands.
struct Noon;

#[async_trait::async_trait]
impl Clock for Noon {
    fn now(&self) -> Timestamp {
        NOW
    }
    async fn sleep(&self, _: std::time::Duration) {}
}

struct House {
    world: World,
    tokens: MemoryTokens,
}

impl House {
    async fn with(change: impl FnOnce(&mut Admission)) -> Self {
        let tokens = MemoryTokens::default();
        let mut admission = Admission {
            tokens: Some(KnownTokens {
                store: Arc::new(tokens.clone()),
                clock: Arc::new(Noon),
            }),
            trust_loopback: false,
            trusted_networks: vec!["127.0.0.1/32".parse().unwrap()],
            ..Admission::default()
        }
        .called("http://node1.example.org:6700/delta");
        change(&mut admission);
        let world = World::admitting(admission).await;
        Self { world, tokens }
    }

    async fn token(&self, scopes: &[Scope], expires_at: Option<Timestamp>) -> String {
        let number = self.tokens.tokens().await.unwrap().tokens().len();
        let mut rng = SeededEntropy::new(number as u64).rng().unwrap();
        let secret = TokenSecret::draw(&mut rng);
        let token = Token {
            name: format!("t{number}").parse().unwrap(),
            scopes: scopes.iter().copied().collect(),
            digest: secret.digest(),
            created_at: Timestamp(0),
            expires_at,
        };
        self.tokens.add(token).await.unwrap();
        secret.text().to_string()
    }

    /// A request without a body; `head` is further header lines.
    async fn ask(&self, from: IpAddr, verb: &str, target: &str, head: &str) -> Answer {
        let host = if format!("\n{}", head.to_lowercase()).contains("\nhost:") {
            ""
        } else {
            "host: localhost\r\n"
        };
        let length = if verb == "POST" {
            "content-length: 0\r\n"
        } else {
            ""
        };
        let request =
            format!("{verb} {target} HTTP/1.1\r\n{host}connection: close\r\n{length}{head}\r\n");
        self.world.send_from(from, request.as_bytes()).await
    }

    async fn status(&self, from: IpAddr, target: &str, head: &str) -> u16 {
        self.ask(from, "GET", target, head).await.status
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn asks_for_a_token(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    assert!(answer.head.contains("www-authenticate: Bearer"), "{what}");
}

#[tokio::test]
async fn each_endpoint_opens_to_its_scope_and_to_trusted_addresses_and_to_nobody_else() {
    let house = House::with(|_| {}).await;
    let mut tokens = Vec::new();
    for scope in Scope::ALL {
        tokens.push((scope, house.token(&[scope], None).await));
    }
    for (verb, path, access) in endpoints() {
        let what = format!("{verb} {path}");
        let stranger = house.ask(STRANGER, verb, path, "").await;
        let trusted = house.ask(TRUSTED, verb, path, "").await;
        let refused = |status: u16| matches!(status, 401 | 421);
        assert!(!refused(trusted.status), "{what}: {}", trusted.text());
        let Some(needed) = access.scope() else {
            assert!(matches!(access, Access::Public | Access::Member), "{what}");
            assert_eq!(stranger.status, trusted.status, "{what}");
            continue;
        };
        asks_for_a_token(&stranger, &what);
        assert!(stranger.text().contains(&format!("scope {needed}")));
        for (scope, token) in &tokens {
            let answer = house.ask(STRANGER, verb, path, &bearer(token)).await;
            if *scope == needed {
                assert_eq!(answer.status, trusted.status, "{what} with {scope}");
            } else {
                assert_eq!(answer.status, 403, "{what} with {scope}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_refused_says_nothing_of_tasks() {
    let house = House::with(|_| {}).await;
    let refusals = [
        "/v1/task/logs?task_id=1",
        "/v1/task/logs?task_id=99",
        "/v1/task/logs",
    ];
    let mut texts = Vec::new();
    for target in refusals {
        texts.push(house.ask(STRANGER, "GET", target, "").await.text());
    }
    assert!(texts.iter().all(|t| *t == texts[0]), "{texts:?}");
    let form = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nx\r\n--B--\r\n";
    let request = format!(
        "POST /v1/task HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: multipart/form-data; boundary=B\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    let answer = house.world.send_from(STRANGER, request.as_bytes()).await;
    asks_for_a_token(&answer, "POST /v1/task");
    assert!(house.world.fake.files.lock().unwrap().is_empty());
    let ready = house.ask(STRANGER, "GET", "/readyz", "").await;
    assert_eq!(
        ready.text(),
        r#"{"status":"ready","checks":[{"name":"connector","ok":true,"detail":""}]}"#
    );
}

#[tokio::test]
async fn a_token_that_is_not_good_opens_nothing() {
    let house = House::with(|_| {}).await;
    let good = house
        .token(&[Scope::Read], Some(Timestamp(NOW.0 + 1)))
        .await;
    let late = house.token(&[Scope::Read], Some(NOW)).await;
    let unknown = format!("delta_{}", "0".repeat(64));
    let tasks = "/v1/tasks";
    for head in [
        bearer(&good),
        format!("authorization: bearer  {good}\r\n"),
        format!("AUTHORIZATION: BEARER {good}\r\n"),
    ] {
        assert_eq!(house.status(STRANGER, tasks, &head).await, 200, "{head}");
    }
    for head in [
        bearer(&late),
        bearer(&unknown),
        bearer(&good[..69]),
        bearer(&good.to_uppercase()),
        bearer(&format!("{good}, Bearer {good}")),
        format!("authorization: Basic {good}\r\n"),
        format!("authorization: {good}\r\n"),
        format!("authorization: Bearer\t{good}\r\n"),
        format!("x-authorization: Bearer {good}\r\n"),
        format!("cookie: token={good}\r\n"),
        format!("{}{}", bearer(&good), bearer(&good)),
        format!("{}{}", bearer(&unknown), bearer(&good)),
    ] {
        let answer = house.ask(STRANGER, "GET", tasks, &head).await;
        asks_for_a_token(&answer, &head);
        assert!(!answer.text().contains("delta_"), "{head}");
    }
    assert!(late != good);
    let in_the_query = format!("{tasks}?access_token={good}&token={good}");
    assert_eq!(house.status(STRANGER, &in_the_query, "").await, 401);
    house.tokens.revoke(&"t0".parse().unwrap()).await.unwrap();
    assert_eq!(house.status(STRANGER, tasks, &bearer(&good)).await, 401);
    // Who is trusted needs none, and a stale one does no harm.
    assert_eq!(house.status(TRUSTED, tasks, &bearer(&late)).await, 200);
}

#[tokio::test]
async fn a_forwarded_call_comes_from_nowhere_that_is_trusted() {
    for trust_loopback in [false, true] {
        let house = House::with(|a| a.trust_loopback = trust_loopback).await;
        assert_eq!(house.status(TRUSTED, "/v1/tasks", "").await, 200);
        for head in [
            "x-forwarded-for: 127.0.0.1\r\n",
            "X-FORWARDED-FOR: 127.0.0.1\r\n",
            "x-forwarded-proto: http\r\n",
            "forwarded: for=127.0.0.1\r\n",
            "x-real-ip: 127.0.0.1\r\n",
            "via: 1.1 proxy\r\n",
            "true-client-ip: 127.0.0.1\r\n",
            "cf-connecting-ip: 127.0.0.1\r\n",
            "x-original-forwarded-for: 127.0.0.1\r\n",
            "x-forwarded-for:\r\n",
        ] {
            let status = house.status(TRUSTED, "/v1/tasks", head).await;
            assert_eq!(status, 401, "{head}");
        }
        // What a stranger writes there makes him nobody else.
        let expected = if trust_loopback { 200 } else { 401 };
        assert_eq!(house.status(STRANGER, "/v1/tasks", "").await, expected);
        let claimed = "x-forwarded-for: 127.0.0.1\r\n";
        assert_eq!(house.status(STRANGER, "/v1/tasks", claimed).await, 401);
    }
}

#[tokio::test]
async fn a_host_that_is_not_the_nodes_is_answered_nowhere() {
    let house = House::with(|a| {
        a.hosts.insert("delta.internal".into());
    })
    .await;
    for host in [
        "localhost",
        "LOCALHOST:6700",
        "localhost.",
        "127.0.0.1:80",
        "10.9.8.7",
        "[::1]:6700",
        "[::ffff:127.0.0.1]",
        "node1.example.org",
        "Node1.Example.ORG.:443",
        "delta.internal:1",
    ] {
        let head = format!("host: {host}\r\n");
        assert_eq!(
            house.status(TRUSTED, "/v1/tasks", &head).await,
            200,
            "{host}"
        );
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:6700",
        "user@localhost",
        "localhost@evil.example",
        "localhost:6700@evil.example",
        "localhost, evil.example",
        "localhost:",
        "localhost:+80",
        "localhost:99999",
        "localhost..",
        "2130706433",
        "0x7f.1",
        "127.1",
        "[::1",
        "[127.0.0.1]",
        "::1",
        "xn--lcalhost-9ya",
        ".localhost",
    ] {
        let head = format!("host: {host}\r\n");
        for path in ["/v1/tasks", "/healthz", "/nowhere", "/"] {
            let status = house.status(TRUSTED, path, &head).await;
            assert!(matches!(status, 421 | 400), "{host} {path}: {status}");
        }
    }
    for head in [
        "host:\r\n",
        "host: localhost\r\nhost: localhost\r\n",
        "host: localhost\r\nhost: evil.example\r\n",
        "host: evil.example\r\nhost: localhost\r\n",
    ] {
        let status = house.status(TRUSTED, "/v1/tasks", head).await;
        assert!(matches!(status, 400 | 421), "{head}: {status}");
    }
    let none = b"GET /v1/tasks HTTP/1.0\r\n\r\n";
    assert_eq!(house.world.send_from(TRUSTED, none).await.status, 400);
}

#[tokio::test]
async fn the_target_is_taken_as_it_is_written() {
    let house = House::with(|_| {}).await;
    // In absolute form the name stands twice, and both are looked at.
    for (target, status) in [
        ("http://localhost/v1/tasks", 200),
        ("http://node1.example.org:6700/v1/tasks", 200),
        ("http://evil.example/v1/tasks", 421),
        ("http://localhost@evil.example/v1/tasks", 421),
        ("http://user@localhost/v1/tasks", 421),
    ] {
        assert_eq!(house.status(TRUSTED, target, "").await, status, "{target}");
    }
    assert_eq!(
        house
            .status(STRANGER, "http://localhost/v1/tasks", "")
            .await,
        401
    );
    // No other spelling of a path reaches an endpoint, whatever its class.
    for target in [
        "/v1/%74asks",
        "/v1//tasks",
        "//v1/tasks",
        "/v1/./tasks",
        "/v1/coord/../tasks",
        "/v1/coord/..%2ftasks",
        "/v1/tasks;x",
        "/V1/TASKS",
        "/v1/tasks%00",
        "/v1/tasks%20",
        "/healthz/../v1/tasks",
        "\\v1\\tasks",
    ] {
        let status = house.status(STRANGER, target, "").await;
        assert!(matches!(status, 404 | 400), "{target}: {status}");
    }
    for verb in ["HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "get"] {
        let answer = house.ask(STRANGER, verb, "/v1/tasks", "").await;
        assert_eq!(answer.status, 405, "{verb}");
    }
    for override_head in [
        "x-http-method-override: POST\r\n",
        "x-original-url: /healthz\r\n",
        "x-rewrite-url: /healthz\r\n",
    ] {
        let status = house.status(STRANGER, "/v1/tasks", override_head).await;
        assert_eq!(status, 401, "{override_head}");
    }
}

#[tokio::test]
async fn pages_of_other_sites_are_refused_everywhere() {
    let house = House::with(|_| {}).await;
    let foreign = [
        "origin: http://evil.example\r\n",
        "origin: null\r\n",
        "origin:\r\n",
        "origin: https://localhost\r\n",
        "origin: http://localhost:3000\r\n",
        "origin: http://localhost.evil.example\r\n",
        "origin: http://localhost@evil.example\r\n",
        "origin: file://\r\n",
        "origin: http://localhost\r\norigin: http://evil.example\r\n",
        "origin: http://localhost http://evil.example\r\n",
        "origin: moz-extension://abc\r\n",
        "sec-fetch-site: cross-site\r\n",
        "sec-fetch-site: same-site\r\n",
        "sec-fetch-site: same-origin\r\nsec-fetch-site: cross-site\r\n",
    ];
    for (verb, path, _) in endpoints() {
        for head in foreign {
            let answer = house.ask(TRUSTED, verb, path, head).await;
            let text = answer.text();
            assert_eq!(answer.status, 403, "{verb} {path} {head}: {text}");
            assert!(text.contains("another site"), "{text}");
            assert!(!answer.head.contains("access-control"));
        }
    }
    for head in [
        "origin: http://localhost\r\n",
        "origin: http://LOCALHOST:80\r\n",
        "host: localhost:6700\r\norigin: http://localhost:6700\r\n",
        "host: 10.0.0.1:6700\r\norigin: http://10.0.0.1:6700\r\n",
        "host: 127.0.0.1:6700\r\norigin: http://node1.example.org:6700\r\n",
        "sec-fetch-site: same-origin\r\n",
        "sec-fetch-site: none\r\n",
    ] {
        assert_eq!(
            house.status(TRUSTED, "/v1/tasks", head).await,
            200,
            "{head}"
        );
    }
    // A preflight gets no permission from anybody.
    let preflight = "origin: http://localhost\r\naccess-control-request-method: POST\r\n";
    let answer = house.ask(TRUSTED, "OPTIONS", "/v1/task", preflight).await;
    assert_eq!(answer.status, 405);
    assert!(!answer.head.contains("access-control"));
}

#[tokio::test]
async fn authors_and_the_owner_may_have_an_address_of_their_own() {
    let members = House::with(|a| a.serves = Serves::Members).await;
    let users = House::with(|a| a.serves = Serves::Users).await;
    for (verb, path, access) in endpoints() {
        let at_members = members.ask(TRUSTED, verb, path, "").await.status;
        let at_users = users.ask(TRUSTED, verb, path, "").await.status;
        match access {
            Access::Public => assert_eq!(at_members, at_users, "{path}"),
            Access::Member => {
                assert!(!matches!(at_members, 401 | 404), "{path}: {at_members}");
                assert_eq!(at_users, 404, "{path}");
            }
            Access::Author(_) | Access::Owner(_) => {
                assert_eq!(at_members, 403, "{path}");
                assert!(!matches!(at_users, 401 | 403 | 404), "{path}: {at_users}");
            }
        }
    }
    let token = users.token(&[Scope::Read], None).await;
    assert_eq!(users.status(STRANGER, "/v1/tasks", "").await, 401);
    assert_eq!(
        users.status(STRANGER, "/v1/tasks", &bearer(&token)).await,
        200
    );
    let token = members.token(&[Scope::Read], None).await;
    assert_eq!(
        members.status(TRUSTED, "/v1/tasks", &bearer(&token)).await,
        403
    );
}

#[tokio::test]
async fn json_is_never_guessed() {
    let world = World::start().await;
    let body = br#"{"address":"0x1","task_id":"0x1","round":1}"#;
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=B",
        "text/json",
        "application/jsonp",
        "application/octet-stream",
        "",
    ] {
        let answer = world.post("/v1/coord/joined", content_type, "", body).await;
        assert!(
            answer.text().contains("value is not a valid dict"),
            "{content_type}: {}",
            answer.text()
        );
    }
    let untyped = format!(
        "POST /v1/coord/joined HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{}",
        body.len(),
        String::from_utf8_lossy(body)
    );
    let answer = world.send(untyped.as_bytes()).await;
    assert!(answer.text().contains("value is not a valid dict"));
    for content_type in ["application/json", "Application/JSON; charset=utf-8"] {
        let answer = world.post("/v1/coord/joined", content_type, "", body).await;
        assert!(answer.text().contains("member"), "{}", answer.text());
    }
}

#[tokio::test]
async fn tasks_are_cancelled_and_left_in_json() {
    let world = World::start().await;
    let post = async |path: &str, body: String| {
        let answer = world
            .post(path, "application/json", "", body.as_bytes())
            .await;
        (answer.status, answer.text())
    };
    let (status, text) = post("/v1/task/cancel", r#"{"task_id":2}"#.into()).await;
    assert!(
        status == 200 && text.contains(r#""id":2"#) && text.contains(r#""status":"ERROR""#),
        "{text}"
    );
    let refused = |why: &str| (400, format!(r#"{{"detail":"{why}"}}"#));
    let cases = [("1", "task 1 is over"), ("99", "task 99 does not exist")];
    for (id, why) in cases {
        let body = format!(r#"{{"task_id":{id}}}"#);
        assert_eq!(post("/v1/task/cancel", body).await, refused(why));
    }
    assert_eq!(post("/v1/task/cancel", "{}".into()).await.0, 422);
    let task = delta_testing::contracts::peer::moves::TASK;
    let left = post("/v1/task/leave", format!(r#"{{"task_id":"{task}"}}"#)).await;
    assert_eq!(left, (200, r#"{"success":true}"#.to_owned()));
    let other = task.replace('5', "6");
    let why = format!("this node follows no task {other}, or it is over");
    let body = format!(r#"{{"task_id":"{other}"}}"#);
    assert_eq!(post("/v1/task/leave", body).await, refused(&why));
    let short = post("/v1/task/leave", r#"{"task_id":"0x1"}"#.into()).await;
    assert_eq!(short, refused("this node follows no task 0x1"));
}
