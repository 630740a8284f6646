//! The module behind: notes that tell what surrounded the call.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use descriptors::{
    denial::{Denial, Reason},
    grant::LicenseStatus,
};
use kernel::{BoxProblem, Dispatch, Door, Fault, Invocation, Output};
use sdk::prelude::*;

pub(crate) const NOTES_WRITE: Permission = Permission::new("notes.write");

#[derive(Clone, Default)]
pub(crate) struct Demo {
    pub(crate) abandoned: Arc<AtomicBool>,
}

impl Module for Demo {
    const NAME: &'static str = "demo";
    const PRODUCT: &'static str = "chancery";
    type Error = Trouble;
}

/// What surrounded a call.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Surroundings {
    actor: String,
    tenant: Option<TenantId>,
    correlation: String,
    idempotency_key: Option<String>,
    traced: bool,
    peer: Option<String>,
}

impl From<&Cx> for Surroundings {
    fn from(cx: &Cx) -> Self {
        Self {
            actor: cx.principal().actor().to_owned(),
            tenant: cx.tenant(),
            correlation: cx.correlation().as_str().to_owned(),
            idempotency_key: cx.idempotency_key().map(|key| key.as_str().to_owned()),
            traced: cx.trace().is_some(),
            peer: cx.peer().map(|peer| peer.to_string()),
        }
    }
}

/// Tell what surrounds a call
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("demo.calls.describe", Demo -> Surroundings)]
#[access(public)]
#[http(POST "/demo/calls" => 202)]
pub(crate) struct Describe {}

impl Handle<Describe> for Demo {
    async fn handle(&self, cx: &Cx, _command: Describe) -> Result<Surroundings, Trouble> {
        Ok(cx.into())
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    Newest,
    Oldest,
}

/// Read notes of a book
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("demo.notes.read", Demo -> ReadNotes)]
#[access(authenticated)]
#[http(GET "/demo/books/{book}/notes")]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadNotes {
    book: u32,
    text: Option<String>,
    full: Option<bool>,
    limit: Option<u8>,
    order: Option<Order>,
}

impl Handle<ReadNotes> for Demo {
    async fn handle(&self, _cx: &Cx, command: ReadNotes) -> Result<ReadNotes, Trouble> {
        Ok(command)
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Note {
    text: String,
    replies: Vec<Note>,
}

/// Write a note into a book
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("demo.notes.write", Demo -> Note)]
#[access(permission = NOTES_WRITE)]
#[license]
#[http(POST "/demo/books/{shelf}/notes")]
#[http(PUT "/demo/books/{shelf}/notes/{text}")]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteNote {
    shelf: u32,
    text: String,
    replies: Option<Vec<Note>>,
}

impl Handle<WriteNote> for Demo {
    async fn handle(&self, _cx: &Cx, command: WriteNote) -> Result<Note, Trouble> {
        Ok(Note {
            text: format!("{}: {}", command.shelf, command.text),
            replies: command.replies.unwrap_or_default(),
        })
    }
}

/// Fail in a given way
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("demo.calls.fail", Demo -> ())]
#[access(public)]
pub(crate) struct Fail {
    how: String,
}

impl Handle<Fail> for Demo {
    async fn handle(&self, _cx: &Cx, command: Fail) -> Result<(), Trouble> {
        Err(Trouble(match command.how.as_str() {
            "panic" => panic!("as asked"),
            "hang" => {
                let _told = TellsWhenDropped(Arc::clone(&self.abandoned));
                tokio::time::sleep(Duration::from_mins(10)).await;
                Category::Internal
            }
            "slow" => {
                tokio::time::sleep(Duration::from_millis(300)).await;
                return Ok(());
            }
            "VALIDATION" => Category::Validation,
            "UNAUTHORIZED" => Category::Unauthorized,
            "FORBIDDEN" => Category::Forbidden,
            "NOT_FOUND" => Category::NotFound,
            "CONFLICT" => Category::Conflict,
            "RATE_LIMITED" => Category::RateLimited,
            "PAYMENT_REQUIRED" => Category::PaymentRequired,
            "UNAVAILABLE" => Category::Unavailable,
            _ => Category::Internal,
        }))
    }
}

struct TellsWhenDropped(Arc<AtomicBool>);

impl Drop for TellsWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[derive(Debug)]
pub(crate) struct Trouble(Category);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ink has dried")
    }
}

impl std::error::Error for Trouble {}

impl Problem for Trouble {
    fn code(&self) -> &'static str {
        "dried_ink"
    }

    fn category(&self) -> Category {
        self.0
    }
}

/// Sweep the desk
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("demo.desk.sweep", Demo -> ())]
#[access(internal)]
#[http(POST "/demo/desk/sweep")]
pub(crate) struct Sweep {}

/// Oil the hinges
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("demo.desk.oil", Demo -> ())]
#[access(public)]
#[license(internal_system)]
pub(crate) struct Oil {}

/// Play with the drawers
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("demo.desk.play", Demo -> ())]
#[access(public)]
#[license(development_only)]
pub(crate) struct Play {}

impl Handle<Sweep> for Demo {
    async fn handle(&self, _cx: &Cx, _command: Sweep) -> Result<(), Trouble> {
        Ok(())
    }
}

impl Handle<Oil> for Demo {
    async fn handle(&self, _cx: &Cx, _command: Oil) -> Result<(), Trouble> {
        Ok(())
    }
}

impl Handle<Play> for Demo {
    async fn handle(&self, _cx: &Cx, _command: Play) -> Result<(), Trouble> {
        Ok(())
    }
}

/// Refuse in a given way, before the handler
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("demo.calls.refuse", Demo -> ())]
#[access(public)]
pub(crate) struct Refuse {
    how: String,
}

impl Handle<Refuse> for Demo {
    async fn handle(&self, _cx: &Cx, _command: Refuse) -> Result<(), Trouble> {
        unreachable!("the gate refuses it")
    }
}

/// The door with a gate before it, which refuses `demo.calls.refuse` as the real column would.
pub(crate) struct Gate(pub(crate) Door);

impl Dispatch<Invocation> for Gate {
    async fn dispatch(&self, mut invocation: Invocation) -> Result<Output, Fault<BoxProblem>> {
        let entry = self.0.registry().entry(invocation.command);
        invocation.input = entry.decode(invocation.input)?;
        match invocation.input.message::<Refuse>() {
            Some(refuse) => Err(refusal(&refuse.how).into()),
            None => self.0.dispatch(invocation).await,
        }
    }
}

fn refusal(how: &str) -> Refusal {
    let denied = |reason, code, category| Refusal {
        details: vec![("reason", reason_text(reason))],
        retry_after: (category == Category::RateLimited).then(|| Duration::from_millis(61_200)),
        cause: Some(Arc::new(Denial {
            reason,
            command: "demo.calls.refuse".to_owned(),
            entitlement_key: None,
            because: "the test".to_owned(),
            license_id: None,
            deployment_id: "test".to_owned(),
            license_status: LicenseStatus::Active,
            resets_at: None,
        })),
        ..Refusal::new(code, category, "not licensed")
    };
    match how {
        "unpaid" => denied(Reason::NotEntitled, "feature_requires_paid_license", Category::PaymentRequired),
        "exhausted" => denied(Reason::QuotaExceeded, "quota_exceeded", Category::RateLimited),
        "hurried" => Refusal {
            retry_after: Some(Duration::ZERO),
            ..Refusal::new("too_many", Category::RateLimited, "slower")
        },
        "stale" => Refusal::new("insufficient_user_authentication", Category::Unauthorized, "sign in again"),
        _ => Refusal::new("authentication_required", Category::Unauthorized, "sign in first"),
    }
}

fn reason_text(reason: Reason) -> serde_json::Value {
    reason.as_str().into()
}
