//! The process around the calls: health, deadlines, clients that go away, and the end.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chancery_http::{BoxFuture, Ready};
use kernel::Commands;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    demo::Demo,
    server::{Server, api},
};

/// A request whose handler never ends.
const HANGING: &str = "POST /api/commands/demo.calls.fail HTTP/1.1\r\nhost: localhost\r\n\
    content-type: application/json\r\ncontent-length: 14\r\n\r\n{\"how\":\"hang\"}";

struct Never;

impl Ready for Never {
    fn ready(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Err("the database does not answer".to_owned()) })
    }
}

struct Limping;

impl Ready for Limping {
    fn ready(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn failing(&self) -> Vec<String> {
        vec!["audit.webhook.siem".to_owned()]
    }
}

#[tokio::test]
async fn what_fails_without_keeping_anyone_from_being_served_is_named() {
    let mut api = api(Commands::none(), Demo::default());
    api.ready = Arc::new(Limping);
    let server = Server::of(api).await;
    let health = server.get("/readyz").await.ok();
    assert_eq!(health, json!({ "status": "degraded", "failing": ["audit.webhook.siem"] }));
}

#[tokio::test]
async fn a_process_that_cannot_serve_is_alive_and_says_why() {
    let server = Server::start().await;
    assert_eq!(server.get("/readyz").await.ok(), json!({ "status": "ok" }));
    let mut api = api(Commands::none(), Demo::default());
    api.ready = Arc::new(Never);
    let server = Server::of(api).await;
    assert_eq!(server.get("/healthz").await.ok(), json!({ "status": "ok" }));
    let error = server.get("/readyz").await.failed(503, "not_ready");
    assert_eq!(error["message"], "the database does not answer");
}

#[tokio::test]
async fn what_is_measured_is_told_to_anyone_in_the_text_of_prometheus() {
    let server = Server::start().await;
    let answer = server.get("/metrics").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "one 1\n# EOF\n"));
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
}

#[tokio::test]
async fn a_call_is_stopped_at_the_deadline_of_its_request() {
    let mut api = api(Commands::none(), Demo::default());
    api.limits.request_timeout = Duration::from_millis(100);
    let server = Server::of(api).await;
    server.call("demo.calls.fail", json!({ "how": "hang" })).await.failed(504, "deadline_exceeded");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let mut api = api(Commands::none(), Demo::default());
    api.limits.request_timeout = Duration::from_millis(100);
    let server = Server::of(api).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(&HANGING.as_bytes()[..HANGING.len() - 1]).await.unwrap();
    let mut answer = [0; 1024];
    let length = client.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.contains(r#""code":"request_timeout""#),
        "{answer}"
    );
}

#[tokio::test]
async fn a_client_that_goes_away_drops_its_call() {
    let demo = Demo::default();
    let server = Server::of(api(Commands::none(), demo.clone())).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(HANGING.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    assert!(!demo.abandoned.load(Ordering::SeqCst));
    drop(client);
    let dropped = async {
        while !demo.abandoned.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(2), dropped).await.expect("the call is dropped");
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_finishes_what_runs() {
    let server = Server::start().await;
    let address = server.address;
    let running = tokio::spawn(
        reqwest::Client::new()
            .post(format!("http://{address}/api/commands/demo.calls.fail"))
            .json(&json!({ "how": "slow" }))
            .send(),
    );
    sleep(Duration::from_millis(100)).await;
    server.stop().await.unwrap();
    assert_eq!(running.await.unwrap().unwrap().status(), 200);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_does_not_wait_for_ever() {
    let server = Server::start().await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(HANGING.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    timeout(Duration::from_secs(4), server.stop()).await.expect("the grace period ends").unwrap();
}

#[tokio::test]
async fn where_all_connections_are_worked_for_one_more_is_turned_away() {
    let server = Server::with_room_for(2, api(Commands::none(), Demo::default())).await;
    let mut hanging = Vec::new();
    for _ in 0..2 {
        let mut client = TcpStream::connect(server.address).await.unwrap();
        client.write_all(HANGING.as_bytes()).await.unwrap();
        hanging.push(client);
    }
    sleep(Duration::from_millis(200)).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    assert!(answer.contains(r#""code":"too_many_connections""#), "{answer}");
    drop(hanging);
    sleep(Duration::from_millis(200)).await;
    server.get("/healthz").await.ok();
}
