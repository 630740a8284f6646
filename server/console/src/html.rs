//! From values to text for people, and from templates to responses.

use std::{fmt, iter};

use askama::{
    Template,
    filters::{Html, HtmlSafe, escape},
};
use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;

use crate::problem::Problem;

/// What a page answers.
pub(crate) type Page = Result<Response, Problem>;

/// A page that is there.
#[expect(clippy::unnecessary_wraps, reason = "it is what every page answers")]
pub(crate) fn page(template: &impl Template) -> Page {
    Ok(written(StatusCode::OK, template))
}

/// A page, under the status of what went wrong on it.
#[expect(clippy::unnecessary_wraps, reason = "it is what every page answers")]
pub(crate) fn page_with(problem: Option<&Problem>, template: &impl Template) -> Page {
    Ok(written(problem.map_or(StatusCode::OK, Problem::status), template))
}

pub(crate) fn written(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// An instant, as people read it. Always UTC: a console is read together with logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub(crate) struct When(pub(crate) Timestamp);

impl When {
    pub(crate) fn day(self) -> String {
        self.0.to_zoned(TimeZone::UTC).strftime("%-d %b %Y").to_string()
    }

    pub(crate) fn second(self) -> String {
        self.0.to_zoned(TimeZone::UTC).strftime("%-d %b %Y, %H:%M:%S").to_string()
    }

    pub(crate) fn iso(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_zoned(TimeZone::UTC).strftime("%-d %b %Y, %H:%M UTC").fmt(f)
    }
}

/// A text of ours in which `names` stand in backticks, as HTML with the names in code.
pub(crate) struct Said<'t>(pub(crate) &'t str);

impl HtmlSafe for Said<'_> {}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.matches('`').count().is_multiple_of(2);
        for (at, part) in self.0.split('`').enumerate() {
            let (before, after) = match at % 2 {
                1 if whole => ("<code>", "</code>"),
                1 => ("`", ""),
                _ if at > 0 && !whole => ("`", ""),
                _ => ("", ""),
            };
            let Ok(part) = escape(part, Html);
            write!(f, "{before}{part}{after}")?;
        }
        Ok(())
    }
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `1 tenant`, `2 tenants`.
pub(crate) fn counted(number: usize, one: &str, many: &str) -> String {
    let number = u64::try_from(number).unwrap_or(u64::MAX);
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// The lower-case words of an error as a sentence.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// An error and its sources in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_instants_are_written_for_people() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(counted(1, "tenant", "tenants"), "1 tenant");
        let when = When("2026-11-04T09:05:06.7Z".parse().unwrap());
        assert_eq!(when.to_string(), "4 Nov 2026, 09:05 UTC");
        assert_eq!(when.iso(), "2026-11-04T09:05:06Z");
        assert_eq!(Said("no `a<b>` & `c`").to_string(), "no <code>a&#60;b&#62;</code> &#38; <code>c</code>");
        assert_eq!(Said("one ` alone").to_string(), "one ` alone");
        assert_eq!(sentence("the slug `a` is taken"), "The slug `a` is taken.");
    }
}
