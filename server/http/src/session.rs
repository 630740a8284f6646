//! Calls by session cookie, and what keeps other sites from making them.

use std::time::Duration;

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{COOKIE, HOST, ORIGIN},
};
use kernel::Category;
use subtle::ConstantTimeEq as _;

use crate::failure::Failure;

/// The cookie that holds a session's token. By its prefix, browsers take it only over TLS, from this host, for all paths.
pub const SESSION_COOKIE: &str = "__Host-chancery-session";

/// The header that holds a session's anti-forgery token.
pub const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// `Set-Cookie` for a session that lasts this long.
///
/// # Panics
///
/// When the token is not one of ours: those are letters and digits.
pub fn session_cookie(token: &str, lifetime: Duration) -> HeaderValue {
    cookie(token, lifetime.as_secs()).expect("a session token is made of letters and digits")
}

/// `Set-Cookie` that lets the browser forget the session.
pub fn ended_session_cookie() -> HeaderValue {
    cookie("", 0).expect("the attributes are visible ASCII")
}

fn cookie(token: &str, seconds: u64) -> Option<HeaderValue> {
    let text =
        format!("{SESSION_COOKIE}={token}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict");
    HeaderValue::from_str(&text).ok()
}

/// The token of the session cookie. Two different ones are none: somebody planted one of them.
pub fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut tokens = pairs.filter(|(name, _)| *name == SESSION_COOKIE).map(|(_, token)| token);
    let token = tokens.next().filter(|token| !token.is_empty())?;
    tokens.all(|other| other == token).then_some(token)
}

/// Refuses a call that another site may have made the browser send.
pub(crate) fn refuse_forgery(method: &Method, headers: &HeaderMap, expected: &str) -> Result<(), Failure> {
    if method.is_safe() {
        return Ok(());
    }
    let stated = headers.get(CSRF_TOKEN).map(HeaderValue::as_bytes).unwrap_or_default();
    if !bool::from(stated.ct_eq(expected.as_bytes())) {
        return Err(refused("`x-csrf-token` is not the one of this session"));
    }
    if !is_from_here(headers) {
        return Err(refused("the request comes from another site"));
    }
    Ok(())
}

/// What the browser says of the page that sent the request. One that says nothing is an old one, or none.
pub fn is_from_here(headers: &HeaderMap) -> bool {
    let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
    let by_site = site.is_none_or(|site| matches!(site, b"same-origin" | b"none"));
    let by_origin = headers.get(ORIGIN).is_none_or(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        origin.zip(host).is_some_and(|((_, origin), host)| origin.eq_ignore_ascii_case(host))
    });
    by_site && by_origin
}

fn refused(message: &str) -> Failure {
    Failure::new("csrf_refused", Category::Forbidden, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).fold(
            HeaderMap::new(),
            |mut all, (name, value)| {
                all.append(name, value);
                all
            },
        )
    }

    #[test]
    fn the_session_is_found_among_other_cookies_and_a_planted_second_one_makes_it_none() {
        let one = headers(&[(COOKIE, "a=1; __Host-chancery-session=t; b=2")]);
        assert_eq!(token(&one), Some("t"));
        for none in [
            vec![(COOKIE, "a=1")],
            vec![(COOKIE, "__Host-chancery-session=")],
            vec![(COOKIE, "x__Host-chancery-session=t")],
            vec![(COOKIE, "__Host-chancery-session=t; __Host-chancery-session=u")],
            vec![(COOKIE, "__Host-chancery-session=t"), (COOKIE, "__Host-chancery-session=u")],
        ] {
            assert_eq!(token(&headers(&none)), None, "{none:?}");
        }
    }

    #[test]
    fn what_changes_something_needs_the_token_and_this_origin() {
        let here = [(HOST, "console.example"), (CSRF_TOKEN, "good")];
        let with = |more: &[(HeaderName, &'static str)]| headers(&[&here[..], more].concat());
        let ok = |headers: &HeaderMap| refuse_forgery(&Method::POST, headers, "good").is_ok();
        assert!(ok(&with(&[])));
        assert!(ok(&with(&[(ORIGIN, "https://console.example"), (FETCH_SITE, "same-origin")])));
        assert!(!ok(&with(&[(ORIGIN, "https://elsewhere.example")])));
        assert!(!ok(&with(&[(ORIGIN, "null")])));
        assert!(!ok(&with(&[(FETCH_SITE, "cross-site")])));
        assert!(!ok(&with(&[(FETCH_SITE, "same-site")])));
        assert!(!ok(&headers(&[(HOST, "console.example")])));
        assert!(!ok(&headers(&[(HOST, "console.example"), (CSRF_TOKEN, "goof")])));
        assert!(refuse_forgery(&Method::GET, &headers(&[]), "good").is_ok());
    }

    #[test]
    fn the_cookie_is_for_this_host_over_tls_and_out_of_reach_of_scripts() {
        let set = session_cookie("abc", Duration::from_mins(1));
        assert_eq!(
            set.to_str().unwrap(),
            "__Host-chancery-session=abc; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Strict"
        );
        assert!(ended_session_cookie().to_str().unwrap().contains("=; Path=/; Max-Age=0;"));
    }
}
