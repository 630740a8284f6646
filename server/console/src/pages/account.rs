//! `/console/account`: one's own password, second factor, sessions and tokens; and the other operators.

use askama::Template;
use axum::response::Redirect;
use futures_util::future::join4;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    answers::{Tone, words},
    form::{Fields, Form},
    html::{Page, When, page_with},
    pages::{done, sign_in::SignedIn},
    problem::Problem,
    shell::{Nav, Shell},
    visitor::Operator,
};

const HERE: &str = "/console/account";

#[derive(Template)]
#[template(path = "pages/account.html")]
struct Account {
    shell: Shell,
    problem: Option<Problem>,
    told: Option<Told>,
    myself: Result<Myself, Problem>,
    sessions: Result<Sessions, Problem>,
    tokens: Result<Tokens, Problem>,
    operators: Result<Operators, Problem>,
    fields: Fields,
}

/// What is told once, on the page that answers the form.
enum Told {
    /// A token for scripts.
    Token { token: String, until: When },
    /// What an authenticator app takes.
    Factor(Enrolment),
    /// The way for somebody to set their password; none, where it was mailed to them.
    Action { name: String, path: Option<String>, until: When },
}

/// `identity.operators.whoami`
#[derive(Deserialize)]
struct Myself {
    id: String,
    #[serde(default)]
    aal: u8,
}

/// `identity.sessions.list`
#[derive(Deserialize)]
struct Sessions {
    sessions: Vec<Session>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    id: String,
    current: bool,
    aal: u8,
    authenticated_at: When,
    seen_at: When,
    expires_at: When,
}

/// `identity.tokens.list`
#[derive(Deserialize)]
struct Tokens {
    tokens: Vec<Token>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    id: String,
    name: String,
    created_at: When,
    expires_at: When,
}

/// `identity.operators.list`
#[derive(Deserialize)]
struct Operators {
    operators: Vec<Colleague>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Colleague {
    name: String,
    display_name: Option<String>,
    role: String,
    status: String,
    second_factor: bool,
}

impl Colleague {
    fn tone(&self) -> Tone {
        match self.status.as_str() {
            "ACTIVE" => "good",
            "DISABLED" => "bad",
            _ => "warn",
        }
    }

    fn status_text(&self) -> String {
        words(&self.status)
    }

    fn is_disabled(&self) -> bool {
        self.status == "DISABLED"
    }
}

/// `identity.totp.enroll`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Enrolment {
    secret: String,
    otpauth_uri: String,
    recovery_codes: Vec<String>,
}

impl Enrolment {
    /// In groups that can be typed.
    fn groups(&self) -> String {
        let groups = self.secret.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group));
        groups.collect::<Vec<_>>().join(" ")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GivenAction {
    /// Where the token was not mailed.
    path: Option<String>,
    expires_at: When,
}

pub(crate) async fn show(operator: Operator) -> Page {
    written(&operator, Fields::default(), None, None).await
}

async fn written(operator: &Operator, fields: Fields, told: Option<Told>, problem: Option<Problem>) -> Page {
    let nothing = || json!({});
    let (myself, operators, sessions, tokens) = join4(
        operator.call("identity.operators.whoami", nothing()),
        operator.call("identity.operators.list", json!({ "limit": 200 })),
        operator.call("identity.sessions.list", nothing()),
        operator.call("identity.tokens.list", nothing()),
    )
    .await;
    let shell = Shell::of(operator, "Account", Nav::Account);
    page_with(
        problem.as_ref(),
        &Account { shell, problem: problem.clone(), told, myself, sessions, tokens, operators, fields },
    )
}

/// `POST /console/account/password`
pub(crate) async fn password(Form { operator, fields }: Form) -> Page {
    if fields.exact("new") != fields.exact("again") {
        let problem = Problem::entered("again", "The two new passwords are not the same.");
        return written(&operator, Fields::default(), None, Some(problem)).await;
    }
    let input = json!({ "current": fields.exact("current"), "new": fields.exact("new") });
    renewed(&operator, "identity.password.change", input, "password-changed").await
}

/// What gives another session in place of the present one.
async fn renewed(operator: &Operator, command: &'static str, input: Value, word: &str) -> Page {
    match operator.call::<SignedIn>(command, input).await {
        Ok(session) => Ok(session.with(operator, Redirect::to(&format!("{HERE}?done={word}")))),
        Err(problem) => written(operator, Fields::default(), None, Some(problem)).await,
    }
}

/// `POST /console/account/factor`: add a second factor, confirm it, or take it away.
pub(crate) async fn factor(Form { operator, fields }: Form) -> Page {
    let code: String = fields.text("code").chars().filter(|c| !c.is_whitespace()).collect();
    match fields.text("do") {
        "confirm" => {
            renewed(&operator, "identity.totp.confirm", json!({ "code": code }), "factor-added").await
        }
        "remove" => {
            renewed(&operator, "identity.totp.remove", json!({ "code": code }), "factor-removed").await
        }
        _ => {
            let enrolled = operator.call::<Enrolment>("identity.totp.enroll", json!({})).await;
            answered(&operator, fields, enrolled.map(Told::Factor)).await
        }
    }
}

/// `POST /console/account/sessions`
pub(crate) async fn sessions(Form { operator, fields }: Form) -> Page {
    let input = json!({ "id": fields.text("id") });
    ended(&operator, fields, "identity.sessions.revoke", input, "session-ended").await
}

/// `POST /console/account/tokens`: a new one, or an end to one.
pub(crate) async fn tokens(Form { operator, fields }: Form) -> Page {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Created {
        token: String,
        expires_at: When,
    }
    if fields.text("do") == "revoke" {
        let input = json!({ "id": fields.text("id") });
        return ended(&operator, fields, "identity.tokens.revoke", input, "token-revoked").await;
    }
    let input = json!({ "name": fields.text("token-name"), "days": fields.text("days").parse::<u32>().ok() });
    let created = operator.call::<Created>("identity.tokens.create", input).await;
    let told = created.map(|created| Told::Token { token: created.token, until: created.expires_at });
    answered(&operator, fields, told).await
}

/// `POST /console/account/operators`: invite one.
pub(crate) async fn invite(Form { operator, fields }: Form) -> Page {
    #[derive(Deserialize)]
    struct Invited {
        activation: GivenAction,
    }
    let mut input = fields.input(&["name", "email", "displayName", "role", "deliveryMethod"]);
    input.entry("name").or_insert_with(|| "".into());
    let invited = operator.call::<Invited>("identity.operators.create", Value::Object(input)).await;
    let name = fields.text("name").to_owned();
    answered(&operator, fields, invited.map(|it| action(name, it.activation))).await
}

/// `POST /console/account/operators/act`: give a way to another password, disable, or enable.
pub(crate) async fn colleague(Form { operator, fields }: Form) -> Page {
    let name = fields.text("name").to_owned();
    let input = json!({ "name": name });
    match fields.text("do") {
        "disable" => ended(&operator, fields, "identity.operators.disable", input, "operator-changed").await,
        "enable" => ended(&operator, fields, "identity.operators.enable", input, "operator-changed").await,
        _ => {
            let given = operator.call::<GivenAction>("identity.actions.create", input).await;
            answered(&operator, Fields::default(), given.map(|given| action(name, given))).await
        }
    }
}

fn action(name: String, given: GivenAction) -> Told {
    Told::Action { name, path: given.path, until: given.expires_at }
}

async fn ended(operator: &Operator, fields: Fields, command: &'static str, input: Value, word: &str) -> Page {
    match operator.call::<Value>(command, input).await {
        Ok(_) => Ok(done(HERE, word)),
        Err(problem) => written(operator, fields, None, Some(problem)).await,
    }
}

async fn answered(operator: &Operator, fields: Fields, told: Result<Told, Problem>) -> Page {
    match told {
        Ok(told) => written(operator, Fields::default(), Some(told), None).await,
        Err(problem) => written(operator, fields, None, Some(problem)).await,
    }
}

impl Account {
    fn value(&self, name: &str) -> &str {
        self.fields.text(name)
    }
}
