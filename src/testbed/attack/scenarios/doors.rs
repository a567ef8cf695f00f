//! Attacks on the door of the API, by somebody who is neither its author nor its owner and has no good token.
//!
//! Strangers call from 127.0.0.2; the attacked nodes trust 127.0.0.1 alone ([`network`](crate::testbed::attack::network)).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, bail};

use crate::bootstrap::{clock, endpoints, entropy};
use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::target::{Target, Targets};
use crate::testbed::attack::{bundles, http};
use delta_domain::access::{Scope, Token, TokenSecret};
use delta_domain::time::Timestamp;

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "stranger", true;
    "door-no-token", "every call of authors and the owner, without a token" => no_token;
    "door-guessed-token", "tokens that nobody made, and a good one with a letter changed" => guessed;
    "door-wrong-scope", "a token that may read, for everything else" => wrong_scope;
    "door-expired-token", "a token whose time is over, and one that was revoked" => expired;
    "door-two-tokens", "a good token in two headers, in a query and in a cookie" => smuggled;
    "door-forwarded", "headers that claim that the call comes from the node's own machine" => forwarded;
    "door-path", "other spellings of the paths of closed endpoints" => paths;
    "door-other-method", "other methods, and headers that claim another one" => methods;
    "browser-origin", "a page of another site submits a task through a visitor's browser" => origin;
    "browser-rebinding", "a page whose name was moved to the node's address" => rebinding;
    "browser-form", "a member's JSON sent as a form, as any page can" => form;
    "cancel-anothers", "a task of the coordinator's cancelled by a stranger" => cancel;
};

const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// One request of a stranger's without a body; `headers` are whole lines.
async fn ask(
    target: &Target,
    method: &str,
    path: &str,
    headers: &str,
) -> anyhow::Result<http::Reply> {
    let url = &target.url;
    let host = if headers.starts_with("host:") || headers.contains("\nhost:") {
        String::new()
    } else {
        format!("host: {}\r\n", http::host(url)?)
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{host}connection: close\r\n{headers}content-length: 0\r\n\r\n"
    );
    http::raw_from(url, Some(STRANGER), request.as_bytes()).await
}

/// Everything in `tried` must be refused with one of `statuses`.
fn all_refused(tried: Vec<(String, http::Reply)>, statuses: &[u16]) -> Outcome {
    let through: Vec<String> = tried
        .iter()
        .filter(|(_, reply)| !statuses.contains(&reply.status))
        .map(|(what, reply)| format!("{what}: {}", reply.line()))
        .collect();
    if through.is_empty() {
        let seen: BTreeSet<u16> = tried.iter().map(|(_, reply)| reply.status).collect();
        let seen: Vec<String> = seen.iter().map(u16::to_string).collect();
        let answered = format!(
            "{} requests, all answered {}",
            tried.len(),
            seen.join(" or ")
        );
        Outcome::new(true, answered)
    } else {
        Outcome::new(false, through.join("; "))
    }
}

/// Endpoints that ask for a scope.
fn closed() -> impl Iterator<Item = (&'static str, &'static str, Scope)> {
    endpoints().filter_map(|(method, path, access)| Some((method, path, access.scope()?)))
}

async fn everywhere(target: &Target, headers: &str) -> anyhow::Result<Vec<(String, http::Reply)>> {
    let mut tried = Vec::new();
    for (method, path, _) in closed() {
        let what = format!("{method} {path}");
        tried.push((what, ask(target, method, path, headers).await?));
    }
    Ok(tried)
}

/// A token that the coordinator's owner has made.
async fn made(
    target: &Target,
    name: &str,
    scopes: &[Scope],
    expires_at: Option<Timestamp>,
) -> anyhow::Result<TokenSecret> {
    let tokens = target.tokens.as_ref().context("the node is not ours")?;
    let secret = TokenSecret::draw(&mut entropy().rng()?);
    let name = name.parse()?;
    tokens.revoke(&name).await?;
    let token = Token {
        name,
        scopes: scopes.iter().copied().collect(),
        digest: secret.digest(),
        created_at: clock().now(),
        expires_at,
    };
    tokens.add(token).await?;
    Ok(secret)
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

/// A token that is good indeed: otherwise a refusal would prove nothing.
async fn must_open(target: &Target, token: &TokenSecret) -> anyhow::Result<()> {
    let reply = ask(target, "GET", "/v1/tasks", &bearer(&token.text())).await?;
    if reply.status == 200 {
        Ok(())
    } else {
        bail!("the good token is not taken either: {}", reply.line())
    }
}

async fn no_token(field: &Targets) -> anyhow::Result<Outcome> {
    Ok(all_refused(
        everywhere(field.coordinator(), "").await?,
        &[401],
    ))
}

async fn guessed(field: &Targets) -> anyhow::Result<Outcome> {
    let target = field.coordinator();
    let good = made(target, "good", &Scope::ALL, None).await?;
    must_open(target, &good).await?;
    let good = good.text();
    let (head, last) = good.split_at(good.len() - 1);
    let other = if last == "0" { "1" } else { "0" };
    let mut tried = Vec::new();
    for token in [
        format!("delta_{}", "0".repeat(64)),
        format!("{head}{other}"),
        head.to_owned(),
        good.to_uppercase(),
        String::new(),
        "null".to_owned(),
        format!("delta_{}", "0".repeat(60_000)),
    ] {
        tried.extend(everywhere(target, &bearer(&token)).await?);
    }
    // A head beyond its limit is refused as such.
    Ok(all_refused(tried, &[401, 431]))
}

async fn wrong_scope(field: &Targets) -> anyhow::Result<Outcome> {
    let target = field.coordinator();
    let token = made(target, "reader", &[Scope::Read], None).await?;
    must_open(target, &token).await?;
    let mut tried = Vec::new();
    for (method, path, scope) in closed() {
        if scope != Scope::Read {
            let reply = ask(target, method, path, &bearer(&token.text())).await?;
            tried.push((format!("{method} {path}"), reply));
        }
    }
    Ok(all_refused(tried, &[403]))
}

async fn expired(field: &Targets) -> anyhow::Result<Outcome> {
    let target = field.coordinator();
    let late = made(target, "late", &Scope::ALL, Some(clock().now())).await?;
    let revoked = made(target, "revoked", &Scope::ALL, None).await?;
    must_open(target, &revoked).await?;
    // The second of this name puts the first out of use.
    made(target, "revoked", &Scope::ALL, None).await?;
    let mut tried = everywhere(target, &bearer(&late.text())).await?;
    tried.extend(everywhere(target, &bearer(&revoked.text())).await?);
    Ok(all_refused(tried, &[401]))
}

async fn smuggled(field: &Targets) -> anyhow::Result<Outcome> {
    let target = field.coordinator();
    let token = made(target, "good", &Scope::ALL, None).await?;
    must_open(target, &token).await?;
    let token = token.text();
    let mut tried = Vec::new();
    for headers in [
        format!("{}{}", bearer(&token), bearer(&token)),
        format!("{}{}", bearer("x"), bearer(&token)),
        bearer(&format!("x, Bearer {}", token.as_str())),
        format!("cookie: token={}\r\n", token.as_str()),
        format!("x-authorization: Bearer {}\r\n", token.as_str()),
        format!("proxy-authorization: Bearer {}\r\n", token.as_str()),
    ] {
        tried.push((
            headers.clone(),
            ask(target, "GET", "/v1/tasks", &headers).await?,
        ));
    }
    let path = format!("/v1/tasks?access_token={}", token.as_str());
    tried.push(("query".into(), ask(target, "GET", &path, "").await?));
    // The report must not tell it.
    let tried = tried
        .into_iter()
        .map(|(what, reply)| (what.replace(token.as_str(), "TOKEN"), reply));
    Ok(all_refused(tried.collect(), &[401]))
}

async fn forwarded(field: &Targets) -> anyhow::Result<Outcome> {
    let mut tried = Vec::new();
    for headers in [
        "x-forwarded-for: 127.0.0.1\r\n",
        "forwarded: for=127.0.0.1;host=localhost\r\n",
        "x-real-ip: 127.0.0.1\r\n",
        "x-forwarded-host: localhost\r\nx-forwarded-for: 127.0.0.1\r\n",
        "x-client-ip: 127.0.0.1\r\n",
        "true-client-ip: 127.0.0.1\r\n",
        "via: 1.1 localhost\r\n",
    ] {
        tried.extend(everywhere(field.coordinator(), headers).await?);
    }
    // A proxy on a trusted address passes on the call of somebody who is not.
    let url = &field.coordinator().url;
    let passed_on = http::send(
        url,
        "GET",
        "/v1/tasks",
        "x-forwarded-for: 203.0.113.7\r\n",
        b"",
    );
    tried.push(("through a proxy".into(), passed_on.await?));
    Ok(all_refused(tried, &[401]))
}

async fn paths(field: &Targets) -> anyhow::Result<Outcome> {
    let target = field.coordinator();
    let mut tried = Vec::new();
    for path in [
        "/v1/%74asks",
        "/v1//tasks",
        "//v1/tasks",
        "/healthz/../v1/tasks",
        "/v1/coord/..%2ftasks",
        "/v1/coord/%2e%2e/tasks",
        "/V1/TASKS",
        "/v1/tasks;a=b",
        "/v1/tasks%00",
        "/v1/./tasks",
        "/v1/tasks/",
        "http://localhost/v1/tasks",
        "http://localhost@127.0.0.1/v1/tasks",
    ] {
        tried.push((path.to_owned(), ask(target, "GET", path, "").await?));
    }
    Ok(all_refused(tried, &[307, 400, 401, 404, 421]))
}

async fn methods(field: &Targets) -> anyhow::Result<Outcome> {
    let target = field.coordinator();
    let mut tried = Vec::new();
    for method in ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "get"] {
        tried.push((
            method.to_owned(),
            ask(target, method, "/v1/tasks", "").await?,
        ));
    }
    for headers in [
        "x-http-method-override: GET\r\n",
        "x-original-url: /healthz\r\n",
        "x-rewrite-url: /v1/tasks\r\n",
    ] {
        let reply = ask(target, "POST", "/v1/task/cancel", headers).await?;
        tried.push((headers.to_owned(), reply));
    }
    Ok(all_refused(tried, &[401, 405]))
}

/// From an address that is trusted, as the browser of somebody at the node is.
async fn origin(field: &Targets) -> anyhow::Result<Outcome> {
    let url = &field.coordinator().url;
    let bundle = bundles::honest(u32::try_from(field.targets.len())?, 1)?;
    let mut tried = Vec::new();
    for header in [
        "origin: http://evil.example\r\n",
        "origin: null\r\n",
        "origin: http://127.0.0.1:3000\r\n",
        "sec-fetch-site: cross-site\r\n",
    ] {
        let reply = http::upload_with(url, "/v1/task", header, &bundle).await?;
        tried.push((header.to_owned(), reply));
        let reply = http::send(url, "GET", "/v1/tasks", header, b"").await?;
        tried.push((header.to_owned(), reply));
    }
    Ok(all_refused(tried, &[403]))
}

async fn rebinding(field: &Targets) -> anyhow::Result<Outcome> {
    let url = &field.coordinator().url;
    let mut tried = Vec::new();
    for host in [
        "evil.example",
        "evil.example:6700",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhost@evil.example",
        "2130706433",
        "0x7f.0.0.1",
    ] {
        for path in ["/v1/tasks", "/v1/task/logs?task_id=1", "/healthz"] {
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            let reply = http::raw(url, request.as_bytes()).await?;
            tried.push((format!("{host}{path}"), reply));
        }
    }
    let two = "GET /v1/tasks HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    tried.push(("two hosts".into(), http::raw(url, two.as_bytes()).await?));
    let absolute =
        "GET http://evil.example/v1/tasks HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    tried.push((
        "in the target".into(),
        http::raw(url, absolute.as_bytes()).await?,
    ));
    Ok(all_refused(tried, &[400, 421]))
}

async fn form(field: &Targets) -> anyhow::Result<Outcome> {
    let url = &field.coordinator().url;
    let mut tried = Vec::new();
    for kind in [
        "content-type: text/plain\r\n",
        "content-type: application/x-www-form-urlencoded\r\n",
        "content-type: multipart/form-data; boundary=b\r\n",
        "",
    ] {
        for path in ["/v1/task/cancel", "/v1/coord/decline"] {
            let body = br#"{"task_id":1,"address":"0x0","round":1,"reason":"busy"}"#;
            let reply = http::send(url, "POST", path, kind, body).await?;
            tried.push((format!("{path} {kind}"), reply));
        }
    }
    Ok(all_refused(tried, &[422]))
}

async fn cancel(field: &Targets) -> anyhow::Result<Outcome> {
    let members = u32::try_from(field.targets.len())?;
    let id = field.submit(&bundles::honest(members, 2)?).await?;
    let target = field.coordinator();
    let body = format!("{{\"task_id\":{id}}}");
    let request = format!(
        "POST /v1/task/cancel HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        http::host(&target.url)?,
        body.len()
    );
    let reply = http::raw_from(&target.url, Some(STRANGER), request.as_bytes()).await?;
    field.ends_right(id, 2).await?;
    Ok(Outcome::new(reply.status == 401, reply.line()))
}
