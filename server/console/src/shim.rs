use std::time::Duration;
use axum::http::HeaderValue;
pub const SESSION_COOKIE: &str = "__Host-chancery-session";
pub fn session_cookie(token: &str, lifetime: Duration) -> HeaderValue {
    HeaderValue::from_str(&format!("{SESSION_COOKIE}={token}; Path=/; Max-Age={}; Secure; HttpOnly; SameSite=Strict", lifetime.as_secs())).unwrap()
}
pub fn ended_session_cookie() -> HeaderValue { HeaderValue::from_static("__Host-chancery-session=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict") }
pub fn csrf_token(token: &str) -> String { format!("c{}", token.len()) }
