//! `/console/activate`: a one-time token sets a password. It comes behind the `#` of a link, so a small script puts it into
//! the form; without script it is pasted there.

use askama::Template;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    form::{Fields, OpenForm},
    html::{Page, When, page_with},
    pages::done,
    problem::Problem,
    shell::{Nav, Shell},
    visitor::Visitor,
};

#[derive(Template)]
#[template(path = "pages/activate.html")]
struct Activate {
    shell: Shell,
    problem: Option<Problem>,
    token: String,
    /// What the token is for, once it was looked at.
    action: Option<Action>,
}

/// `identity.actions.resolve`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    action: String,
    name: String,
    expires_at: When,
}

impl Action {
    fn is_first(&self) -> bool {
        self.action == "identity.activation"
    }
}

pub(crate) async fn show(visitor: Visitor) -> Page {
    written(&visitor, "", None, None)
}

fn written(visitor: &Visitor, token: &str, action: Option<Action>, problem: Option<Problem>) -> Page {
    let shell = Shell::of(visitor, "Set a password", Nav::None);
    let page = Activate { shell, problem, token: token.to_owned(), action };
    page_with(page.problem.as_ref(), &page)
}

/// `POST /console/activate`: looks at the token, then sets the password.
pub(crate) async fn act(OpenForm { visitor, fields }: OpenForm) -> Page {
    let token = token(&fields);
    let action = match visitor.call::<Action>("identity.actions.resolve", json!({ "token": token })).await {
        Ok(action) => action,
        Err(problem) => return written(&visitor, "", None, Some(problem)),
    };
    let password = fields.exact("password");
    if password.is_empty() {
        return written(&visitor, token, Some(action), None);
    }
    if password != fields.exact("again") {
        let problem = Problem::entered("again", "The two passwords are not the same.");
        return written(&visitor, token, Some(action), Some(problem));
    }
    let input = json!({ "token": token, "password": password });
    match visitor.call::<Value>("identity.actions.complete", input).await {
        Ok(_) => Ok(done("/console/sign-in", "activated")),
        Err(problem) => written(&visitor, token, Some(action), Some(problem)),
    }
}

/// The token itself, also where the whole link was pasted.
pub(crate) fn token(fields: &Fields) -> &str {
    let text = fields.text("token");
    let behind = text.rsplit_once('#').map_or(text, |(_, behind)| behind);
    behind.strip_prefix("token=").unwrap_or(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_whatever_was_pasted() {
        for pasted in
            ["abc", "+abc+", "%23abc", "https://x/console/activate%23token=abc", "https://x/activate%23abc"]
        {
            let query = format!("token={}", pasted.replace('=', "%3D"));
            assert_eq!(token(&Fields::of_query(Some(&query))), "abc", "{pasted}");
        }
    }
}
