//! The siteverify protocol, against a server that speaks it, and servers that do not.

use std::{sync::Arc, time::Duration};

use chancery_signup::{ChallengeError, SiteVerify, SiteVerifyError, SiteVerifySettings, VerifyChallenge};
use sdk::secrets::{Mounted, Secret};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    time::sleep,
};

/// A server that answers everything with this, after a while, and tells what it was sent.
async fn answering(status: &str, body: &str, after: Duration) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/siteverify", listener.local_addr().unwrap());
    let answer = format!(
        "HTTP/1.1 {status}\r\nlocation: {url}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut received = Vec::new();
            // The form is the last thing a client sends, and has both fields.
            while !String::from_utf8_lossy(&received).contains("response=") {
                let mut chunk = [0; 1024];
                let read = stream.read(&mut chunk).await.unwrap_or(0);
                if read == 0 {
                    break;
                }
                received.extend_from_slice(&chunk[..read]);
            }
            let _ = tell.send(String::from_utf8_lossy(&received).into_owned());
            sleep(after).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, told)
}

fn settings(url: &str) -> SiteVerifySettings {
    SiteVerifySettings {
        url: url.parse().unwrap(),
        secret: Secret::new(
            "env:SITE".parse().unwrap(),
            Arc::new(Mounted::new([("SITE".to_owned(), "s&cret".to_owned())], "/nowhere")),
        ),
        patience: Duration::from_millis(500),
        minimum_score_percent: 50,
    }
}

async fn verdict(status: &str, body: &str, after: Duration) -> Result<(), ChallengeError> {
    let (url, _told) = answering(status, body, after).await;
    SiteVerify::new(settings(&url)).unwrap().verify("proof").await
}

const AT_ONCE: Duration = Duration::ZERO;

#[tokio::test]
async fn secret_and_proof_go_as_a_form_and_nothing_else_does() {
    let (url, mut told) = answering("200 OK", r#"{"success":true}"#, AT_ONCE).await;
    SiteVerify::new(settings(&url)).unwrap().verify("a+b c").await.unwrap();
    let sent = told.recv().await.unwrap();
    assert!(sent.starts_with("POST /siteverify HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains("content-type: application/x-www-form-urlencoded"), "{sent}");
    assert!(sent.ends_with("\r\n\r\nsecret=s%26cret&response=a%2Bb+c"), "{sent}");
}

#[tokio::test]
async fn only_a_clear_success_is_one() {
    for passed in [r#"{"success":true}"#, r#"{"success":true,"score":0.5,"hostname":"x"}"#] {
        assert_eq!(verdict("200 OK", passed, AT_ONCE).await, Ok(()), "{passed}");
    }
    for failed in [
        r#"{"success":false}"#,
        r#"{"success":false,"error-codes":["timeout-or-duplicate"]}"#,
        r#"{"success":true,"score":0.49}"#,
        r#"{"success":true,"score":-1}"#,
    ] {
        assert_eq!(verdict("200 OK", failed, AT_ONCE).await, Err(ChallengeError::Rejected), "{failed}");
    }
}

#[tokio::test]
async fn whatever_is_not_the_protocol_fails_closed() {
    let endless = format!(r#"{{"success":true,"padding":"{}"}}"#, "x".repeat(100_000));
    let own_fault = r#"{"success":false,"error-codes":["invalid-input-secret"]}"#;
    for (status, body, after) in [
        ("200 OK", "", AT_ONCE),
        ("200 OK", "true", AT_ONCE),
        ("200 OK", r#"{"success":"true"}"#, AT_ONCE),
        ("200 OK", "<html>success</html>", AT_ONCE),
        ("200 OK", endless.as_str(), AT_ONCE),
        ("200 OK", own_fault, AT_ONCE),
        ("500 Oops", r#"{"success":true}"#, AT_ONCE),
        ("302 Found", r#"{"success":true}"#, AT_ONCE),
        ("200 OK", r#"{"success":true}"#, Duration::from_secs(2)),
    ] {
        assert_eq!(
            verdict(status, body, after).await,
            Err(ChallengeError::Unavailable),
            "{status} {body:.60}"
        );
    }
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let verifier = SiteVerify::new(settings(&format!("http://{nobody}/"))).unwrap();
    assert_eq!(verifier.verify("proof").await, Err(ChallengeError::Unavailable));
}

#[test]
fn secret_and_proofs_do_not_travel_in_the_clear() {
    for address in
        ["http://challenge.example.com/siteverify", "ftp://127.0.0.1/", "http://127.0.0.1.example.com/"]
    {
        assert!(matches!(SiteVerify::new(settings(address)), Err(SiteVerifyError::Address)), "{address}");
    }
    for address in ["https://challenge.example.com/siteverify", "http://localhost:1/", "http://[::1]:1/"] {
        assert!(SiteVerify::new(settings(address)).is_ok(), "{address}");
    }
}
