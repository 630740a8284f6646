use sdk::{
    kernel::{BoxProblem, Fault, IdempotencyKey},
    prelude::*,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Signup, SignupError, SignupStatus, Slug,
    request::{Marks, SignupRequest, Step, advance},
};

/// The command that makes a tenant.
const REGISTER: &str = "tenancy.tenants.register";

/// Where a request stands once it was confirmed or approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignupOutcome {
    /// The request.
    pub signup_request_id: Uuid,
    /// `PENDING_APPROVAL`, `REGISTERED`, or `CONFIRMED` while the registration goes on.
    pub status: SignupStatus,
    /// The tenant, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}

/// A tenant that came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// Its id.
    pub tenant_id: TenantId,
    /// Its name in addresses.
    pub slug: Slug,
}

impl From<&SignupRequest> for SignupOutcome {
    fn from(request: &SignupRequest) -> Self {
        let tenant = request.marks.registered_tenant;
        Self {
            signup_request_id: request.id,
            status: request.status,
            registration: tenant.map(|tenant_id| Registration { tenant_id, slug: request.slug.clone() }),
        }
    }
}

impl Signup {
    /// Registers the tenant of a confirmed request, as the process itself. Called again for the same request, by anyone,
    /// it registers nothing twice.
    pub(crate) async fn register(&self, cx: &Cx, request: &mut SignupRequest) -> Result<(), SignupError> {
        let (step, marks, answer) = match self.call(cx, request).await {
            Ok(tenant) => {
                let marks = Marks {
                    registered_at: Some(cx.now()),
                    registered_tenant: Some(tenant),
                    ..Marks::default()
                };
                (Step::Register, marks, Ok(()))
            }
            Err(fault) if is_passing(&fault) => {
                // It stays confirmed, and is taken up again.
                tracing::warn!(request = %request.id, %fault, "a registration is to be tried again");
                return Ok(());
            }
            Err(fault) => {
                // A larger license helps, or another decision; whoever approves can wait for it. Whoever signs up cannot.
                let returns = is_refusal(&fault) && request.marks.approved_at.is_some();
                let marks =
                    Marks { failure: (!returns).then(|| fault.code().to_owned()), ..Marks::default() };
                (if returns { Step::Return } else { Step::Fail }, marks, Err(not_registered(&fault)))
            }
        };
        let mut work = self.store.begin().await?;
        match advance(&mut work, request, step, marks).await {
            Ok(()) => {
                if let Some(tenant) = request.marks.registered_tenant {
                    self.invite(&mut work, cx, request, tenant).await?;
                }
                work.commit(cx).await?;
            }
            // Another replica took it up and has told.
            Err(SignupError::Misplaced(_)) => {}
            Err(error) => return Err(error),
        }
        answer
    }

    async fn call(&self, cx: &Cx, request: &SignupRequest) -> Result<TenantId, Fault<BoxProblem>> {
        let input = json!({
            // Of a call that died it is not known how far it came: by this id it registers one tenant.
            "tenantId": request.id,
            "slug": request.slug,
            "name": request.display_name,
            "parentTenantId": request.parent,
            "source": "SELF_SIGNUP",
        });
        let key = IdempotencyKey::parse(&format!("signup-{}", request.id)).expect("an id is visible ASCII");
        let mut inner = Cx::new(cx.ambient().clone(), Principal::System)
            .with_correlation(cx.correlation().clone())
            .with_idempotency_key(key);
        // For a tenant beneath another, what the other may do counts as well.
        if let Some(parent) = request.parent {
            inner = inner.with_tenant(parent);
        }
        if let Some(trace) = cx.trace() {
            inner = inner.with_trace(trace);
        }
        if let Some(deadline) = cx.deadline() {
            inner = inner.with_deadline(deadline);
        }
        let answer = self.line.bus()?.dispatch_json(inner, REGISTER, input).await?;
        tenant_of(&answer).ok_or_else(|| {
            Refusal::new("internal", Category::Internal, "the registration answered without a tenant").into()
        })
    }
}

fn tenant_of(answer: &Value) -> Option<TenantId> {
    answer.get("tenantId")?.as_str()?.parse().ok().map(TenantId)
}

/// Whether the same call may succeed later, with nothing changed by anybody.
fn is_passing(fault: &Fault<BoxProblem>) -> bool {
    match fault {
        Fault::DeadlineExceeded | Fault::Panicked | Fault::Internal(_) => true,
        // Another call for the same request is running.
        Fault::Refused(refusal) if refusal.category == Category::Conflict => true,
        _ => matches!(fault.category(), Category::Unavailable | Category::Internal),
    }
}

/// Whether it is license, quota or policy that does not let the tenant be, and nothing about the tenant itself.
fn is_refusal(fault: &Fault<BoxProblem>) -> bool {
    matches!(fault.category(), Category::PaymentRequired | Category::Forbidden | Category::RateLimited)
}

fn not_registered(fault: &Fault<BoxProblem>) -> SignupError {
    let (code, retry_after) = match fault {
        Fault::Refused(refusal) => (refusal.code, refusal.retry_after),
        Fault::Failed(problem) => (problem.code(), problem.retry_after()),
        _ => ("not_registered", None),
    };
    SignupError::NotRegistered { code, category: fault.category(), message: fault.to_string(), retry_after }
}
