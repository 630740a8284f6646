use jiff::Timestamp;
use sdk::{
    prelude::*,
    store::{
        Work,
        sqlx::{self, Any, Executor, Row as _, any::AnyRow},
    },
};

use crate::{IdentityError, Role, decoded};

/// An operator, as other operators see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operator {
    /// What they sign in with, and the audit calls them by.
    pub name: String,
    /// Where messages for them go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Their name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What they are.
    pub role: Role,
    /// The tenant they belong to.
    pub home: TenantId,
    /// Whether they may sign in.
    pub status: OperatorStatus,
    /// Whether they sign in with a second factor.
    pub second_factor: bool,
    /// When they were invited.
    pub created_at: Timestamp,
}

/// Whether an operator may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OperatorStatus {
    /// Not yet: they have set no password.
    Invited,
    /// They may.
    Active,
    /// Not any more.
    Disabled,
}

impl OperatorStatus {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "INVITED",
            Self::Active => "ACTIVE",
            Self::Disabled => "DISABLED",
        }
    }
}

/// The text is no status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a status")]
pub struct UnknownStatus(String);

impl std::str::FromStr for OperatorStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        [Self::Invited, Self::Active, Self::Disabled]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

/// An operator with what only this module knows.
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) shown: Operator,
    pub(crate) password_hash: Option<String>,
    pub(crate) totp_pending: Option<String>,
    pub(crate) totp_secret: Option<String>,
    pub(crate) totp_step: i64,
}

impl Account {
    /// As the audit shows them.
    pub(crate) fn actor(&self) -> String {
        actor(&self.shown.name)
    }

    pub(crate) fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let totp_secret: Option<String> = row.try_get("totp_secret")?;
        let shown = Operator {
            name: row.try_get("name")?,
            email: row.try_get("email")?,
            display_name: row.try_get("display_name")?,
            role: decoded(row, "role")?,
            home: TenantId(decoded(row, "home")?),
            status: decoded(row, "status")?,
            second_factor: totp_secret.is_some(),
            created_at: instant(row, "created_at")?,
        };
        Ok(Self {
            id: row.try_get("id")?,
            shown,
            password_hash: row.try_get("password_hash")?,
            totp_pending: row.try_get("totp_pending")?,
            totp_secret,
            totp_step: row.try_get("totp_step")?,
        })
    }
}

const ACTOR: &str = "operator:";

pub(crate) fn actor(name: &str) -> String {
    format!("{ACTOR}{name}")
}

/// An instant of a row.
pub(crate) fn instant(row: &AnyRow, column: &'static str) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_microsecond(row.try_get(column)?)
        .map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) })
}

/// The operator of this name.
pub(crate) async fn find<'e>(
    executor: impl Executor<'e, Database = Any>,
    name: &str,
) -> Result<Option<Account>, IdentityError> {
    let row = sqlx::query("SELECT * FROM identity_operator WHERE name = $1")
        .bind(name)
        .fetch_optional(executor)
        .await?;
    Ok(row.as_ref().map(Account::read).transpose()?)
}

/// An operator who is to be invited.
pub(crate) struct NewOperator<'n> {
    pub(crate) name: &'n str,
    pub(crate) email: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) role: Role,
    pub(crate) home: TenantId,
}

/// Adds an operator who has no password yet; nobody, where the name is somebody's.
pub(crate) async fn insert(
    work: &mut Work,
    cx: &Cx,
    wanted: NewOperator<'_>,
) -> Result<Option<Account>, IdentityError> {
    let now = cx.now().as_microsecond();
    let inserted = sqlx::query(
        "INSERT INTO identity_operator
             (id, name, email, display_name, role, home, status, totp_step, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9) ON CONFLICT (name) DO NOTHING",
    )
    .bind(cx.uuid().to_string())
    .bind(wanted.name)
    .bind(wanted.email)
    .bind(wanted.display_name)
    .bind(wanted.role.as_str())
    .bind(wanted.home.to_string())
    .bind(OperatorStatus::Invited.as_str())
    .bind(now)
    .bind(now)
    .execute(&mut **work)
    .await?;
    if inserted.rows_affected() == 0 { Ok(None) } else { find(&mut **work, wanted.name).await }
}

/// The operator who calls.
pub(crate) async fn caller<'e>(
    executor: impl Executor<'e, Database = Any>,
    cx: &Cx,
) -> Result<Account, IdentityError> {
    let Principal::Authenticated(who) = cx.principal() else { return Err(IdentityError::NotAnOperator) };
    let name = who.id.strip_prefix(ACTOR).ok_or(IdentityError::NotAnOperator)?;
    find(executor, name).await?.ok_or(IdentityError::NotAnOperator)
}

/// A name as it is kept: 1 to 254 letters, digits and `.`, `_`, `-`, `+`, `@`, beginning with a letter or digit. An e-mail
/// address may be one.
pub(crate) fn parse_name(text: &str) -> Result<String, IdentityError> {
    let name = normalized(text);
    let fits = (1..=254).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+@".contains(&byte));
    if fits { Ok(name) } else { Err(IdentityError::InvalidName) }
}

/// A name as it is looked for.
pub(crate) fn normalized(text: &str) -> String {
    text.trim().to_lowercase()
}

/// An address in the one form that all mail systems take.
pub(crate) fn parse_email(text: &str) -> Result<String, IdentityError> {
    let text = text.trim();
    let fits =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
    match text.rsplit_once('@') {
        Some((local, domain)) if fits(local) && fits(domain) && text.len() <= 254 => Ok(text.to_owned()),
        _ => Err(IdentityError::InvalidEmail),
    }
}

/// A name for people: 1 to 200 characters, none of them invisible.
pub(crate) fn parse_display_name(text: &str) -> Result<String, IdentityError> {
    let text = text.trim();
    let fits = (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(IdentityError::InvalidDisplayName) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_in_one_form() {
        assert_eq!(parse_name(" Ada@Example.com ").unwrap(), "ada@example.com");
        for bad in ["", " ", "-ada", "a b", "a\nb", "ä", "a:b", &"a".repeat(255)] {
            assert!(parse_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_has_two_parts() {
        assert_eq!(parse_email("ada@example.com").unwrap(), "ada@example.com");
        for bad in ["", "ada", "@example.com", "ada@", "a@b@c", "a b@c", "ada@example.com\nbcc: x@y"] {
            assert!(parse_email(bad).is_err(), "{bad}");
        }
    }
}
