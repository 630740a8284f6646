//! `GET /console/help/{reason}`: the page on a denial, as it is in the program.

use askama::Template;
use axum::extract::Path;
use descriptors::denial::Reason;
use pulldown_cmark::{Event, Parser, Tag, TagEnd, html::push_html};

use crate::{
    html::{Page, page},
    problem::Problem,
    shell::{Nav, Shell},
    visitor::Visitor,
};

#[derive(Template)]
#[template(path = "pages/help.html")]
struct Help {
    shell: Shell,
    text: Markdown,
    others: Vec<Reason>,
}

/// A page of ours as HTML.
struct Markdown(String);

impl askama::filters::HtmlSafe for Markdown {}

impl std::fmt::Display for Markdown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) async fn show(visitor: Visitor, Path(reason): Path<String>) -> Page {
    let reason: Reason =
        reason.parse().map_err(|_| Problem::not_found(format!("{reason} is not a denial reason.")))?;
    page(&Help {
        shell: Shell::of(&visitor, reason.as_str(), Nav::None),
        text: markdown(reason.page()),
        others: Reason::ALL.into_iter().filter(|other| *other != reason).collect(),
    })
}

/// Links between the files of the documentation lead nowhere here, so only their words stay.
fn markdown(text: &str) -> Markdown {
    let events = Parser::new(text)
        .filter(|event| !matches!(event, Event::Start(Tag::Link { .. }) | Event::End(TagEnd::Link)))
        .map(|event| match event {
            Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
            other => other,
        });
    let mut html = String::new();
    push_html(&mut html, events);
    Markdown(html)
}
