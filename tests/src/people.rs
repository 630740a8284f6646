//! Operators, as they come to be and call.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::answer;

/// The password of every operator in the tests.
pub const PASSWORD: &str = "correct horse battery";

/// A request by nobody.
pub fn nobody(url: &str, method: Method, path: &str) -> RequestBuilder {
    reqwest::Client::new().request(method, format!("{url}{path}")).timeout(Duration::from_secs(30))
}

/// Signs in at this server. Answers the session.
pub async fn sign_in(url: &str, name: &str, password: &str) -> Value {
    let wanted = json!({ "name": name, "password": password });
    let signing_in = nobody(url, Method::POST, "/api/identity/v1/sessions").json(&wanted);
    let (status, session) = answer(signing_in).await;
    assert_eq!(status, StatusCode::OK, "{session}");
    session
}

/// A request in a session, as a browser makes it.
pub fn in_session(url: &str, session: &Value, method: Method, path: &str) -> RequestBuilder {
    let text = |name: &str| session[name].as_str().expect("a text").to_owned();
    nobody(url, method, path)
        .header("cookie", format!("__Host-chancery-session={}", text("sessionToken")))
        .header("x-csrf-token", text("csrfToken"))
}

/// Sets a password with a one-time token.
pub async fn complete(url: &str, token: &str, password: &str) -> (StatusCode, Value) {
    let completion = json!({ "token": token, "password": password });
    answer(nobody(url, Method::POST, "/api/account-actions/v1/complete").json(&completion)).await
}

/// An operator whom this request invites, signed in with a password.
pub async fn operator(url: &str, inviting: RequestBuilder, mut wanted: Value) -> Value {
    wanted["deliveryMethod"] = json!("MANUAL");
    let (status, invited) = answer(inviting.json(&wanted)).await;
    assert_eq!(status, StatusCode::OK, "{invited}");
    let (status, done) =
        complete(url, invited["activation"]["token"].as_str().expect("a token"), PASSWORD).await;
    assert_eq!(status, StatusCode::OK, "{done}");
    sign_in(url, wanted["name"].as_str().expect("a name"), PASSWORD).await
}

/// The status of an answer, and the code of its error.
pub fn code(answered: &(StatusCode, Value)) -> (u16, &str) {
    (answered.0.as_u16(), answered.1["error"]["code"].as_str().unwrap_or_default())
}
