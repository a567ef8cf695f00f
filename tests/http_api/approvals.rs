//! The owner's word over the API: what asks, what is decided, the journal.

use serde_json::{Value, json};

use crate::http_world::World;

const JSON: &str = "application/json";
const TASK: &str = "task_id";

async fn post(world: &World, path: &str, body: &Value) -> (u16, Value) {
    let answer = world
        .post(path, JSON, "", body.to_string().as_bytes())
        .await;
    let value = serde_json::from_slice(&answer.body).unwrap_or_default();
    (answer.status, value)
}

async fn list(world: &World) -> Value {
    let answer = world.get("/v1/approvals").await;
    assert_eq!(answer.status, 200);
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn a_decision_is_made_listed_and_taken_back() {
    let world = World::start().await;
    let before = list(&world).await;
    let asked = &before["tasks"][0];
    assert_eq!(asked["waits"], true);
    assert_eq!(asked["decision"], "asks");
    assert_eq!(asked["rules"], json!(["policy.approval.ask"]));
    assert_eq!(asked["reads"], json!({"wages.csv": ["wage"]}));
    let word =
        json!({TASK: asked["task"], "decision": "allow", "scope": "until", "until": "2027-12-31"});
    let (status, decided) = post(&world, "/v1/approvals", &word).await;
    assert_eq!(status, 200, "{decided}");
    // The end of the day.
    assert_eq!(decided["scope"], json!({"until": 1_830_297_600_000_u64}));
    let with = decided["decided_with"].as_str().unwrap();
    assert!(with.contains("127.0.0.1"), "{with}");
    assert_eq!(list(&world).await["decisions"][0]["id"], decided["id"]);
    let back = json!({"id": decided["id"]});
    assert_eq!(post(&world, "/v1/approvals/revoke", &back).await.0, 200);
    let (status, why) = post(&world, "/v1/approvals/revoke", &back).await;
    assert_eq!(status, 400, "{why}");
}

#[tokio::test]
async fn accounts_are_shown_with_three_numbers() {
    let world = World::start().await;
    let answer = world.get("/v1/privacy").await;
    assert_eq!(answer.status, 200);
    let shown: Value = serde_json::from_slice(&answer.body).unwrap();
    let account = &shown["datasets"][0];
    assert_eq!(account["dataset"], "wages.csv");
    assert_eq!(
        account["budget"],
        json!({"epsilon": 3.0, "delta": 1e-6, "renew": "yearly"})
    );
    assert_eq!(account["charges"][0]["purpose"], json!("task 0x55 round 1"));
    assert_eq!(account["open"], 1);
    assert_eq!(account["spent"], account["charges"][0]["epsilons"]);
    let (spent, committed) = (&account["spent"], &account["committed"]);
    for who in ["nobody", "colluding", "alone"] {
        assert!(spent[who].as_f64() < committed[who].as_f64(), "{who}");
    }
}

#[tokio::test]
async fn half_a_decision_is_none() {
    let world = World::start().await;
    let task = list(&world).await["tasks"][0]["task"].clone();
    for (word, status) in [
        (json!({TASK: task, "decision": "allow"}), 422),
        (
            json!({TASK: task, "decision": "perhaps", "scope": "once"}),
            422,
        ),
        (
            json!({TASK: task, "decision": "allow", "scope": "ever"}),
            422,
        ),
        (
            json!({TASK: task, "decision": "allow", "scope": "until"}),
            422,
        ),
        (
            json!({TASK: task, "decision": "allow", "scope": "until", "until": "soon"}),
            400,
        ),
        (
            json!({TASK: "0x12", "decision": "allow", "scope": "once"}),
            400,
        ),
        (json!({"decision": "allow", "scope": "once"}), 422),
    ] {
        assert_eq!(
            post(&world, "/v1/approvals", &word).await.0,
            status,
            "{word}"
        );
    }
    assert_eq!(list(&world).await["decisions"], json!([]));
}

#[tokio::test]
async fn the_journal_comes_in_pages_of_lines() {
    let world = World::start().await;
    let answer = world.get("/v1/audit?skip=1&limit=1").await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "{\"number\":2}\n")
    );
    assert_eq!(world.get("/v1/audit?skip=3").await.text(), "");
    assert_eq!(world.get("/v1/audit?limit=1001").await.status, 422);
}

#[tokio::test]
async fn versions_of_datasets_are_registered_and_compared() {
    let world = World::start().await;
    let path = "/v1/datasets/register";
    let (status, version) = post(&world, path, &json!({ "name": "wages.csv" })).await;
    assert_eq!(status, 200, "{version}");
    assert_eq!(
        (&version["index"], &version["on_hub"], &version["current"]),
        (&json!(2), &json!("same"), &Value::Null)
    );
    assert_eq!(version["commitment"], format!("0x{}", "04".repeat(32)));
    for (body, status, word) in [
        (
            json!({ "name": "other.csv" }),
            400,
            "there is no dataset other.csv",
        ),
        (json!({ "name": "../etc" }), 400, "the name of a dataset"),
        (json!({}), 422, "field required"),
    ] {
        let (found, text) = post(&world, path, &body).await;
        assert_eq!(found, status, "{text}");
        assert!(text.to_string().contains(word), "{text}");
    }
    let versions = async |path: &str| -> Value {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    };
    let last = versions("/v1/datasets/registered").await;
    assert_eq!(last["versions"][0]["current"], false);
    let history = versions("/v1/datasets/history?name=wages.csv").await;
    let shown: Vec<&Value> = (0..2).map(|i| &history["versions"][i]["on_hub"]).collect();
    assert_eq!(shown, [&json!("nothing"), &json!("another")]);
    let answer = world.get("/v1/datasets/history?name=a/b").await;
    assert_eq!(answer.status, 400);
}
