//! What went wrong, in words for the person in front of it.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use descriptors::{
    access::Permission,
    denial::{Denial, Reason},
};
use http_api::Unavailable;
use kernel::{BoxProblem, Category, CorrelationId, Fault};

use crate::{
    html::{self, Said, When},
    shell::{Nav, Shell},
    visitor::Visitor,
};

/// Why something was not done or cannot be shown. As a response it is only a note: the edge, which knows who looks, writes
/// the page.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/problem.html")]
pub(crate) struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    status: StatusCode,
    title: &'static str,
    message: String,
    /// What can be done about it.
    advice: Option<&'static str>,
    code: String,
    command: Option<&'static str>,
    /// The field of the input it is about.
    field: Option<String>,
    reason: Option<Reason>,
    because: Option<String>,
    retry_at: Option<When>,
    /// Seconds until there is another try.
    wait: Option<u64>,
    correlation: Option<CorrelationId>,
    absent: bool,
}

impl askama::filters::HtmlSafe for Problem {}

impl Problem {
    fn new(status: StatusCode, title: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            status,
            title,
            message: message.into(),
            advice: None,
            code: String::new(),
            command: None,
            field: None,
            reason: None,
            because: None,
            retry_at: None,
            wait: None,
            correlation: None,
            absent: false,
        }))
    }

    fn advising(mut self, advice: &'static str) -> Self {
        self.0.advice = Some(advice);
        self
    }

    /// The program was built without this command.
    pub(crate) fn absent(command: &'static str) -> Self {
        let message = format!("The command {command} is not part of this build.");
        let mut problem = Self::new(StatusCode::NOT_FOUND, "Not part of this build", message);
        problem.0.command = Some(command);
        problem.0.absent = true;
        problem.advising("Everything else works. A program that mounts the module shows it here.")
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Nothing here", message)
            .advising("Check the address, or begin at the home page.")
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong on the server",
            "The server's log has the cause under the correlation id below.",
        )
        .advising("Try again. If it stays, give the correlation id to whoever runs this server.")
    }

    pub(crate) fn timed_out() -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "This took too long",
            "The request was stopped at its deadline.",
        )
        .advising("Try again in a moment.")
    }

    pub(crate) fn foreign_form() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "This form is out of date",
            "It was not sent by a page of your present session, so nothing was done.",
        )
        .advising("Go back, reload the page, and send the form again.")
    }

    pub(crate) fn form_too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "This form cannot be read",
            "It is larger than this server takes, or not what a browser sends.",
        )
    }

    /// The adapter's own rule, as the HTTP API has it.
    pub(crate) fn may_not_act(permission: Permission) -> Self {
        let message = format!("To act for another tenant needs the permission {}.", permission.as_str());
        Self::new(StatusCode::FORBIDDEN, "You may not do this", message)
    }

    /// What was entered cannot be right. `field` is where.
    pub(crate) fn entered(field: &str, message: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "Check what you entered", message);
        problem.0.field = Some(field.to_owned());
        problem
    }

    /// What the bus answered. An internal fault goes to the log, and only its correlation id to the page.
    pub(crate) fn of_fault(
        command: &'static str,
        fault: &Fault<BoxProblem>,
        correlation: &CorrelationId,
    ) -> Self {
        let category = fault.category();
        if category == Category::Internal {
            let error = match fault {
                Fault::Failed(problem) => html::chain(problem.as_ref()),
                _ => fault.to_string(),
            };
            tracing::error!(
                correlation = correlation.as_str(),
                error,
                command,
                "a call of the console failed"
            );
            let mut problem = Self::internal();
            problem.0.command = Some(command);
            return problem;
        }
        let denial = fault.refusal().and_then(|refusal| refusal.cause::<Denial>());
        let (status, title, advice) = told(category, fault.code(), denial.is_some());
        let mut problem = Self::new(status, title, html::sentence(&fault.to_string()));
        let parts = &mut problem.0;
        parts.advice = advice;
        parts.wait = fault.retry_after().map(|wait| wait.as_secs().max(1));
        fault.code().clone_into(&mut parts.code);
        parts.command = Some(command);
        if let Fault::Input(error) = fault {
            parts.field = Some(error.path().to_owned());
        }
        if let Some(denial) = denial {
            if denial.reason == Reason::QuotaExceeded {
                parts.title = "No room left";
            }
            parts.reason = Some(denial.reason);
            denial.reason.summary().clone_into(&mut parts.message);
            parts.because = Some(denial.because.clone());
            parts.retry_at = denial.resets_at.map(When);
        }
        problem
    }

    /// The field of the form it is about.
    pub(crate) fn about(&self, field: &str) -> bool {
        self.0.field.as_deref() == Some(field)
    }

    /// Whether the caller is known, but has to show more of it.
    pub(crate) fn wants_sign_in(&self) -> bool {
        self.0.code == "insufficient_user_authentication"
    }

    pub(crate) fn code(&self) -> &str {
        &self.0.code
    }

    fn said(text: &str) -> Said<'_> {
        Said(text)
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The whole page on it.
    pub(crate) fn page(mut self, visitor: &Visitor) -> Response {
        let status = self.0.status;
        self.0.correlation = Some(visitor.correlation.clone());
        let page = ProblemPage { shell: Shell::of(visitor, self.0.title, Nav::None), problem: self };
        html::written(status, &page)
    }
}

/// How a category of faults is told.
fn told(category: Category, code: &str, denied: bool) -> (StatusCode, &'static str, Option<&'static str>) {
    match category {
        Category::Validation => (StatusCode::BAD_REQUEST, "Check what you entered", None),
        Category::Unauthorized if code == "insufficient_user_authentication" => (
            StatusCode::FORBIDDEN,
            "Show again who you are",
            Some("Sign in again, with a code if you have a second factor. Under Account you can add one."),
        ),
        Category::Unauthorized => (StatusCode::UNAUTHORIZED, "Sign in again", None),
        Category::PaymentRequired => (
            StatusCode::PAYMENT_REQUIRED,
            "Not licensed",
            Some(
                "A larger license or subscription would allow this. The explanation names the smallest change.",
            ),
        ),
        Category::Forbidden if denied => (StatusCode::FORBIDDEN, "Refused by the license", None),
        Category::Forbidden => (
            StatusCode::FORBIDDEN,
            "You may not do this",
            Some("Ask an operator with the role platform-admin."),
        ),
        Category::NotFound => (StatusCode::NOT_FOUND, "Nothing here", None),
        Category::Conflict => (StatusCode::CONFLICT, "This cannot be done now", None),
        Category::RateLimited => {
            (StatusCode::TOO_MANY_REQUESTS, "Too much of it", Some("Wait until there is room again."))
        }
        Category::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "Not available at the moment", Some("Try again in a moment."))
        }
        Category::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on the server", None),
    }
}

#[derive(Template)]
#[template(path = "pages/problem.html")]
struct ProblemPage {
    shell: Shell,
    problem: Problem,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Unavailable> for Problem {
    fn from(_: Unavailable) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Not available at the moment",
            "The server cannot reach its database, so it cannot tell who you are.",
        )
        .advising("Try again in a moment.")
    }
}
