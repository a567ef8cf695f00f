//! What operators are told: measurements in the form that they ask for, and a log that says more or less.

use super::http_world::World;

async fn with_accept(world: &World, accept: &str) -> super::http_world::Answer {
    let request = format!(
        "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: {accept}\r\n\r\n"
    );
    world.send(request.as_bytes()).await
}

#[tokio::test]
async fn measurements_come_in_the_form_that_was_asked_for() {
    let world = World::start().await;
    let plain = with_accept(&world, "*/*").await;
    assert_eq!(
        (plain.status, plain.text()),
        (200, "Prometheus 3".to_owned())
    );
    let kind = "content-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(plain.head.to_lowercase().contains(kind), "{}", plain.head);
    let open = with_accept(
        &world,
        "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
    )
    .await;
    assert_eq!(open.text(), "OpenMetrics 3");
    let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(open.head.to_lowercase().contains(kind), "{}", open.head);
}

#[tokio::test]
async fn a_request_has_a_name() {
    let world = World::start().await;
    let named = |name: &str| {
        format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{name}\r\n")
    };
    let answer = world
        .send(named("x-request-id: from-a-proxy.7\r\n").as_bytes())
        .await;
    assert!(
        answer.head.contains("x-request-id: from-a-proxy.7"),
        "{}",
        answer.head
    );
    let mut names = Vec::new();
    for _ in 0..2 {
        let answer = world.send(named("x-request-id: a b\r\n").as_bytes()).await;
        let line = answer
            .head
            .lines()
            .find(|l| l.starts_with("x-request-id: "));
        names.push(line.unwrap().to_owned());
    }
    assert!(
        names[0] != names[1] && !names[0].contains("a b"),
        "{names:?}"
    );
}

async fn set(world: &World, body: &str) -> super::http_world::Answer {
    let kind = "application/json";
    world
        .post("/v1/log/filter", kind, "", body.as_bytes())
        .await
}

#[tokio::test]
async fn a_log_says_what_its_owner_asks_for() {
    let world = World::start().await;
    let path = "/v1/log/filter";
    assert_eq!(world.get(path).await.text(), r#"{"filter":"info"}"#);
    let answer = set(&world, r#"{"filter":"debug"}"#).await;
    assert_eq!(
        (answer.status, answer.text()),
        (200, r#"{"filter":"debug"}"#.to_owned())
    );
    assert_eq!(world.get(path).await.text(), r#"{"filter":"debug"}"#);
    for (body, status) in [
        (r#"{"filter":"loud"}"#.to_owned(), 400),
        (r#"{"filter":""}"#.to_owned(), 400),
        (format!(r#"{{"filter":"{}"}}"#, "x".repeat(2000)), 400),
        ("{}".to_owned(), 422),
        (r#"{"filter":[]}"#.to_owned(), 422),
    ] {
        let answer = set(&world, &body).await;
        assert_eq!(answer.status, status, "{body:.80}: {}", answer.text());
    }
    assert_eq!(world.get(path).await.text(), r#"{"filter":"debug"}"#);
}
