use std::fmt;

use jiff::Timestamp;
use sdk::{
    prelude::*,
    store::{
        Work,
        sqlx::{self, Any, Executor, Row, any::AnyRow, error::BoxDynError},
    },
};
use uuid::Uuid;

use crate::{DisplayName, Email, Signup, SignupError, Slug};

/// How far a request has come (semantics 7.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SignupStatus {
    /// The address is to be confirmed.
    PendingEmail,
    /// Somebody is to approve.
    PendingApproval,
    /// The tenant is being registered.
    Confirmed,
    /// There is a tenant.
    Registered,
    /// Somebody said no.
    Rejected,
    /// The address was not confirmed in time.
    Expired,
    /// The tenant could not be registered.
    Failed,
}

use SignupStatus::{Confirmed, Expired, Failed, PendingApproval, PendingEmail, Registered, Rejected};

/// What may happen to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Its address is confirmed.
    Verify { approval: bool },
    /// Somebody approves.
    Approve,
    /// Its tenant is registered.
    Register,
    /// Somebody rejects.
    Reject,
    /// Its link grows too old.
    Expire,
    /// Its tenant cannot be registered.
    Fail,
    /// Its tenant cannot be registered under the license as it is; it may be approved again.
    Return,
}

impl SignupStatus {
    const ALL: [Self; 7] = [PendingEmail, PendingApproval, Confirmed, Registered, Rejected, Expired, Failed];

    /// As documents and the table spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            PendingEmail => "PENDING_EMAIL",
            PendingApproval => "PENDING_APPROVAL",
            Confirmed => "CONFIRMED",
            Registered => "REGISTERED",
            Rejected => "REJECTED",
            Expired => "EXPIRED",
            Failed => "FAILED",
        }
    }

    /// Where a step leads from here. The whole of what can happen.
    pub(crate) const fn after(self, step: Step) -> Option<Self> {
        match (self, step) {
            (PendingEmail, Step::Verify { approval: true }) | (Confirmed, Step::Return) => {
                Some(PendingApproval)
            }
            (PendingEmail, Step::Verify { approval: false }) | (PendingApproval, Step::Approve) => {
                Some(Confirmed)
            }
            (Confirmed, Step::Register) => Some(Registered),
            (Confirmed, Step::Fail) => Some(Failed),
            (PendingEmail | PendingApproval, Step::Reject) => Some(Rejected),
            (PendingEmail, Step::Expire) => Some(Expired),
            _ => None,
        }
    }
}

impl fmt::Display for SignupStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct SignupRequest {
    pub(crate) id: Uuid,
    pub(crate) email: Email,
    pub(crate) slug: Slug,
    pub(crate) display_name: DisplayName,
    pub(crate) parent: Option<TenantId>,
    pub(crate) status: SignupStatus,
    pub(crate) token_hash: String,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) resends: u32,
    pub(crate) last_resend_at: Option<Timestamp>,
    pub(crate) marks: Marks,
}

/// What happened to a request so far, or is to be noted with a step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    pub(crate) verified_at: Option<Timestamp>,
    pub(crate) confirmed_at: Option<Timestamp>,
    pub(crate) approved_at: Option<Timestamp>,
    pub(crate) approved_by: Option<String>,
    pub(crate) rejected_at: Option<Timestamp>,
    pub(crate) rejected_by: Option<String>,
    pub(crate) rejected_reason: Option<String>,
    pub(crate) registered_at: Option<Timestamp>,
    pub(crate) registered_tenant: Option<TenantId>,
    pub(crate) failure: Option<String>,
}

/// A request, as those who decide see it. Neither its token nor where it came from is told, not even as a hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignupView {
    /// Its id.
    pub id: Uuid,
    /// Who asks.
    pub email: Email,
    /// The tenant's name in addresses.
    pub slug: Slug,
    /// The tenant's name for people.
    pub display_name: DisplayName,
    /// The tenant it would stand beneath.
    pub parent_tenant_id: Option<TenantId>,
    /// How far it has come.
    pub status: SignupStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its link grows too old.
    pub expires_at: Timestamp,
    /// When the address was confirmed.
    pub email_verified_at: Option<Timestamp>,
    /// When it was approved.
    pub approved_at: Option<Timestamp>,
    /// By whom.
    pub approved_by_id: Option<String>,
    /// When nothing more stood in the way of the registration.
    pub confirmed_at: Option<Timestamp>,
    /// When it was rejected.
    pub rejected_at: Option<Timestamp>,
    /// By whom.
    pub rejected_by_id: Option<String>,
    /// Why.
    pub rejected_reason: Option<String>,
    /// The tenant that came of it.
    pub registered_tenant_id: Option<TenantId>,
    /// Since when.
    pub registered_at: Option<Timestamp>,
    /// Why none did.
    pub failure_reason: Option<String>,
    /// When its link was sent again.
    pub last_resend_at: Option<Timestamp>,
    /// How often.
    pub resend_count: u32,
}

impl From<SignupRequest> for SignupView {
    fn from(request: SignupRequest) -> Self {
        let SignupRequest { marks, .. } = request;
        Self {
            id: request.id,
            email: request.email,
            slug: request.slug,
            display_name: request.display_name,
            parent_tenant_id: request.parent,
            status: request.status,
            created_at: request.created_at,
            expires_at: request.expires_at,
            email_verified_at: marks.verified_at,
            approved_at: marks.approved_at,
            approved_by_id: marks.approved_by,
            confirmed_at: marks.confirmed_at,
            rejected_at: marks.rejected_at,
            rejected_by_id: marks.rejected_by,
            rejected_reason: marks.rejected_reason,
            registered_tenant_id: marks.registered_tenant,
            registered_at: marks.registered_at,
            failure_reason: marks.failure,
            last_resend_at: request.last_resend_at,
            resend_count: request.resends,
        }
    }
}

/// Which requests a caller may decide about (semantics 7.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    All,
    Beneath(TenantId),
    Nothing,
}

impl Reach {
    /// The parent that every request must have; empty for any.
    pub(crate) fn parent(self) -> Option<String> {
        match self {
            Self::All => Some(String::new()),
            Self::Beneath(tenant) => Some(tenant.to_string()),
            Self::Nothing => None,
        }
    }

    fn covers(self, request: &SignupRequest) -> bool {
        match self {
            Self::All => true,
            Self::Beneath(tenant) => request.parent == Some(tenant),
            Self::Nothing => false,
        }
    }
}

impl Signup {
    /// Operators of the platform decide about any request, those of a tenant about who would stand beneath it.
    pub(crate) fn reach(&self, cx: &Cx) -> Reach {
        match cx.principal() {
            Principal::System => Reach::All,
            Principal::Authenticated(who) => match who.home {
                Some(home) if home == self.application => Reach::All,
                Some(home) => Reach::Beneath(home),
                None => Reach::Nothing,
            },
            Principal::Anonymous => Reach::Nothing,
        }
    }

    /// The request, if this caller may decide about it. One that is out of reach is not there.
    pub(crate) async fn within_reach(&self, cx: &Cx, id: Uuid) -> Result<SignupRequest, SignupError> {
        let found = find(self.store.reader(), id).await?;
        found.filter(|request| self.reach(cx).covers(request)).ok_or(SignupError::NoSuchRequest)
    }
}

/// Writes a new request.
pub(crate) async fn insert(
    work: &mut Work,
    request: &SignupRequest,
    source: Option<String>,
) -> Result<(), SignupError> {
    sqlx::query(
        "INSERT INTO signup_request (id, email, slug, display_name, parent, status, token_hash, source_hash,
             created_at, expires_at, resends)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)",
    )
    .bind(request.id.to_string())
    .bind(request.email.as_str())
    .bind(request.slug.as_str())
    .bind(request.display_name.as_str())
    .bind(request.parent.map_or_else(String::new, |parent| parent.to_string()))
    .bind(request.status.as_str())
    .bind(&request.token_hash)
    .bind(source.unwrap_or_default())
    .bind(request.created_at.as_microsecond())
    .bind(request.expires_at.as_microsecond())
    .execute(&mut **work)
    .await?;
    Ok(())
}

/// The request with this id.
pub(crate) async fn find<'e>(
    executor: impl Executor<'e, Database = Any>,
    id: Uuid,
) -> Result<Option<SignupRequest>, SignupError> {
    let row = sqlx::query("SELECT * FROM signup_request WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(executor)
        .await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// Takes a step, and with it the token: whatever happens to a request, its link works no more. The only writer of a
/// status. Fails when the step is none from where the request is by now.
pub(crate) async fn advance(
    work: &mut Work,
    request: &mut SignupRequest,
    step: Step,
    marks: Marks,
) -> Result<(), SignupError> {
    let from = request.status;
    let to = from.after(step).ok_or(SignupError::Misplaced(from))?;
    let at = |instant: Option<Timestamp>| instant.map(Timestamp::as_microsecond);
    let updated = sqlx::query(
        "UPDATE signup_request SET status = $1, token_hash = '',
             verified_at = COALESCE($2, verified_at), confirmed_at = COALESCE($3, confirmed_at),
             approved_at = COALESCE($4, approved_at), approved_by = COALESCE($5, approved_by),
             rejected_at = COALESCE($6, rejected_at), rejected_by = COALESCE($7, rejected_by),
             rejected_reason = COALESCE($8, rejected_reason), registered_at = COALESCE($9, registered_at),
             registered_tenant = COALESCE($10, registered_tenant), failure = COALESCE($11, failure)
         WHERE id = $12 AND status = $13 AND token_hash = $14",
    )
    .bind(to.as_str())
    .bind(at(marks.verified_at))
    .bind(at(marks.confirmed_at))
    .bind(at(marks.approved_at))
    .bind(marks.approved_by)
    .bind(at(marks.rejected_at))
    .bind(marks.rejected_by)
    .bind(marks.rejected_reason)
    .bind(at(marks.registered_at))
    .bind(marks.registered_tenant.map(|tenant| tenant.to_string()))
    .bind(marks.failure)
    .bind(request.id.to_string())
    .bind(from.as_str())
    .bind(&request.token_hash)
    .execute(&mut **work)
    .await?;
    let now = find(&mut **work, request.id).await?.ok_or(SignupError::NoSuchRequest)?;
    if updated.rows_affected() == 0 {
        return Err(SignupError::Misplaced(now.status));
    }
    *request = now;
    Ok(())
}

/// A row of the table as a request.
pub(crate) fn read(row: &AnyRow) -> Result<SignupRequest, sqlx::Error> {
    let text = |column| row.try_get::<String, _>(column);
    let instant = |column| Timestamp::from_microsecond(row.try_get(column)?).map_err(decode);
    let mark = |column| {
        let micros = row.try_get::<Option<i64>, _>(column)?;
        micros.map(Timestamp::from_microsecond).transpose().map_err(decode)
    };
    let tenant = |text: String| text.parse().map(TenantId).map_err(decode);
    let status = text("status")?;
    Ok(SignupRequest {
        id: text("id")?.parse().map_err(decode)?,
        email: text("email")?.try_into().map_err(decode)?,
        slug: text("slug")?.try_into().map_err(decode)?,
        display_name: text("display_name")?.try_into().map_err(decode)?,
        parent: Some(text("parent")?).filter(|parent| !parent.is_empty()).map(tenant).transpose()?,
        status: SignupStatus::ALL
            .into_iter()
            .find(|known| known.as_str() == status)
            .ok_or_else(|| decode(format!("`{status}` is no status of a signup")))?,
        token_hash: text("token_hash")?,
        created_at: instant("created_at")?,
        expires_at: instant("expires_at")?,
        resends: u32::try_from(row.try_get::<i64, _>("resends")?).map_err(decode)?,
        last_resend_at: mark("last_resend_at")?,
        marks: Marks {
            verified_at: mark("verified_at")?,
            confirmed_at: mark("confirmed_at")?,
            approved_at: mark("approved_at")?,
            approved_by: row.try_get("approved_by")?,
            rejected_at: mark("rejected_at")?,
            rejected_by: row.try_get("rejected_by")?,
            rejected_reason: row.try_get("rejected_reason")?,
            registered_at: mark("registered_at")?,
            registered_tenant: row
                .try_get::<Option<String>, _>("registered_tenant")?
                .map(tenant)
                .transpose()?,
            failure: row.try_get("failure")?,
        },
    })
}

fn decode(error: impl Into<BoxDynError>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_only_where_the_drawing_says() {
        let steps = [
            Step::Verify { approval: true },
            Step::Verify { approval: false },
            Step::Approve,
            Step::Register,
            Step::Reject,
            Step::Expire,
            Step::Fail,
            Step::Return,
        ];
        let arrows: Vec<_> = SignupStatus::ALL
            .into_iter()
            .flat_map(|from| steps.map(|step| (from, from.after(step))))
            .filter_map(|(from, to)| Some((from, to?)))
            .collect();
        assert_eq!(
            arrows,
            [
                (PendingEmail, PendingApproval),
                (PendingEmail, Confirmed),
                (PendingEmail, Rejected),
                (PendingEmail, Expired),
                (PendingApproval, Confirmed),
                (PendingApproval, Rejected),
                (Confirmed, Registered),
                (Confirmed, Failed),
                (Confirmed, PendingApproval),
            ]
        );
    }
}
