//! What the server says about its commands, and what it keeps to itself.

use std::collections::BTreeSet;

use chancery_http::RouterError;
use descriptors::{
    access::Access,
    route::{HttpRoute, Method},
};
use kernel::{Commands, RuntimeCommand};
use serde_json::Value;

use crate::{
    demo::Demo,
    server::{Answer, Send as _, Server, api},
};

fn ids(answer: &Answer) -> Vec<String> {
    let listed = answer.ok();
    let commands = listed["commands"].as_array().unwrap();
    commands.iter().map(|command| command["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_inventory_shows_each_caller_what_is_for_them() {
    let server = Server::start().await;
    let public = ["demo.calls.describe", "demo.calls.fail", "demo.calls.refuse", "demo.desk.play"];
    assert_eq!(ids(&server.get("/api/commands").await), public);
    let listed = async |who| ids(&server.request("GET", "/api/commands").bearer_auth(who).answer().await);
    assert_eq!(listed("reader").await, [&public[..], &["demo.notes.read"]].concat());
    assert_eq!(listed("writer").await, [&public[..], &["demo.notes.read", "demo.notes.write"]].concat());
}

#[tokio::test]
async fn the_inventory_shows_routes_and_schemas_of_one_command() {
    let server = Server::start().await;
    let show = |who| server.request("GET", "/api/commands/demo.notes.write").bearer_auth(who);
    let shown = show("writer").answer().await.ok();
    assert_eq!(shown["summary"], "Write a note into a book");
    assert_eq!(shown["routes"][0]["method"], "POST");
    assert_eq!(shown["routes"][1]["path"], "/demo/books/{shelf}/notes/{text}");
    assert_eq!(shown["input"]["properties"]["shelf"]["type"], "integer");
    assert_eq!(shown["output"]["properties"]["text"]["type"], "string");
    show("reader").answer().await.failed(404, "unknown_command");
}

#[tokio::test]
async fn what_is_not_exposed_answers_like_what_does_not_exist() {
    let server = Server::start().await;
    let unlike = |answer: &Answer, id: &str| {
        let mut error = answer.failed(404, "unknown_command");
        error["correlationId"].take();
        error.to_string().replace(id, "…")
    };
    let absent = unlike(&server.call("demo.desk.burn", Value::Null).await, "demo.desk.burn");
    for hidden in ["demo.desk.sweep", "demo.desk.oil"] {
        assert_eq!(unlike(&server.call(hidden, Value::Null).await, hidden), absent);
        let shown = server.request("GET", &format!("/api/commands/{hidden}")).bearer_auth("writer");
        assert_eq!(unlike(&shown.answer().await, hidden), absent);
    }
    server.request("POST", "/demo/desk/sweep").answer().await.failed(404, "unknown_path");
}

#[tokio::test]
async fn developers_tools_are_not_mounted_in_production() {
    let server = Server::start().await;
    server.call("demo.desk.play", serde_json::json!({})).await.ok();
    let mut api = api(Commands::none(), Demo::default());
    api.production = true;
    let server = Server::of(api).await;
    server.call("demo.desk.play", Value::Null).await.failed(404, "unknown_command");
    assert!(!server.get("/openapi.json").await.text.contains("demo.desk.play"));
}

#[tokio::test]
async fn a_command_without_contract_or_access_is_not_exposed() {
    let echo = |id| RuntimeCommand::new(id, async |_cx, value| Ok(value));
    let public = const { Access::builder().public().build() };
    let commands = Commands::none()
        .with(echo("late.text.bare"))
        .with(echo("late.text.closed").summary("Echo"))
        .with(echo("late.text.open").summary("Echo").facet(public));
    let server = Server::of(api(commands, Demo::default())).await;
    server.call("late.text.bare", Value::Null).await.failed(404, "unknown_command");
    server.call("late.text.closed", Value::Null).await.failed(404, "unknown_command");
    assert_eq!(server.call("late.text.open", "any".into()).await.ok(), "any");
}

/// Why a program does not start that has this command besides.
fn refusal(routes: &[HttpRoute]) -> RouterError {
    let command = RuntimeCommand::new("late.notes.read", async |_cx, value| Ok(value)).summary("Read late");
    let command = command.facet(const { Access::builder().public().build() });
    let command = routes.iter().fold(command, |command, route| command.facet(*route));
    chancery_http::routes(api(Commands::none().with(command), Demo::default())).unwrap_err()
}

#[test]
fn routes_that_do_not_fit_together_refuse_to_start() {
    let taken = HttpRoute::new(Method::GET, "/demo/books/{other}/notes");
    assert_eq!(
        refusal(&[taken]).to_string(),
        "`demo.notes.read` and `late.notes.read` are both mounted at `GET /demo/books/{other}/notes`"
    );
    let twice = HttpRoute::new(Method::GET, "/late");
    assert!(matches!(refusal(&[twice, twice]), RouterError::Duplicate { .. }));
    for path in ["/late/{", "/late/{}", "/late/{*rest}", "/late/a{b}", "/late/:b", "/late/*b", "/late/{a-b}"]
    {
        assert!(matches!(refusal(&[HttpRoute::new(Method::GET, path)]), RouterError::Path { .. }), "{path}");
    }
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/api/commands", "/api/commands/{name}"]
    {
        assert!(
            matches!(refusal(&[HttpRoute::new(Method::GET, path)]), RouterError::Reserved { .. }),
            "{path}"
        );
    }
}

/// Every value of a keyword, anywhere in a document.
fn values<'d>(document: &'d Value, keyword: &str) -> Vec<&'d Value> {
    match document {
        Value::Object(members) => {
            let own = members.get(keyword).into_iter();
            own.chain(members.values().flat_map(|member| values(member, keyword))).collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| values(item, keyword)).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn the_openapi_document_is_whole() {
    let server = Server::start().await;
    let document = server.get("/openapi.json").await.ok();
    assert_eq!(document["openapi"], "3.1.0");

    let references = values(&document, "$ref");
    assert!(references.len() > 50);
    for reference in references {
        let target = reference.as_str().unwrap().strip_prefix('#').expect("references stay in the document");
        assert!(document.pointer(target).is_some(), "{reference} leads nowhere");
    }
    assert!(values(&document, "$defs").is_empty() && values(&document, "$schema").is_empty());

    let operations = values(&document, "operationId");
    let unique: BTreeSet<_> = operations.iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!(unique.len(), operations.len());
    assert_eq!(unique.len(), 2 * 6 + 4, "each command, what it is, and each of its routes");

    let components = document["components"].as_object().unwrap();
    for name in components.values().flat_map(|of_kind| of_kind.as_object().unwrap().keys()) {
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)), "{name}");
    }
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let in_template: Vec<_> = path.split('/').filter(|segment| segment.starts_with('{')).collect();
            let parameters = operation["parameters"].as_array().unwrap();
            let declared = parameters.iter().filter(|parameter| parameter["in"] == "path");
            let declared: Vec<_> =
                declared.map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap())).collect();
            assert_eq!(declared, in_template, "{path}");
        }
    }
}

#[tokio::test]
async fn the_openapi_document_says_where_each_field_goes() {
    let server = Server::start().await;
    let document = server.get("/openapi.json").await.ok();
    let book = &document["paths"]["/demo/books/{book}/notes"];
    let read: Vec<_> = book["get"]["parameters"].as_array().unwrap().iter().take(5).collect();
    let places: Vec<_> =
        read.iter().map(|parameter| (parameter["name"].as_str(), parameter["in"].as_str())).collect();
    assert_eq!(places[0], (Some("book"), Some("path")));
    assert!(places[1..].iter().all(|(_, place)| *place == Some("query")), "{places:?}");
    assert!(book["get"]["requestBody"].is_null());
    let body = &book["post"]["requestBody"];
    assert_eq!(body["required"], true);
    let fields = body["content"]["application/json"]["schema"]["properties"].as_object().unwrap();
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["text", "replies"]);
    let open = &document["paths"]["/api/commands/demo.calls.describe"]["post"];
    assert_eq!(open["security"], serde_json::json!([{}, { "bearer": [] }, { "session": [], "csrf": [] }]));
    assert_eq!(book["get"]["security"], serde_json::json!([{ "bearer": [] }, { "session": [], "csrf": [] }]));
    assert_eq!(book["get"]["responses"]["429"]["$ref"], "#/components/responses/RATE_LIMITED");
}
