//! A form as it was sent: names and texts, checked to be ours.

use axum::{
    body::to_bytes,
    extract::{FromRequest, FromRequestParts, Multipart, Request},
    http::header::CONTENT_TYPE,
};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use crate::{
    problem::Problem,
    visitor::{Operator, Visitor},
};

/// What was entered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// What a query string says.
    pub(crate) fn of_query(query: Option<&str>) -> Self {
        Self::parse(query.unwrap_or_default().as_bytes())
    }

    fn parse(encoded: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// The text under this name, without the blanks around it; empty when there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, text)| text.trim())
    }

    /// The text under this name as it was sent: a password may begin with a blank.
    pub(crate) fn exact(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, text)| text)
    }

    /// The text under this name, unless it is empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Whether a box is ticked.
    pub(crate) fn ticked(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// Every text whose name begins so, with the rest of its name.
    pub(crate) fn beneath<'f>(&'f self, prefix: &'f str) -> impl Iterator<Item = (&'f str, &'f str)> {
        self.0.iter().filter_map(move |(key, text)| Some((key.strip_prefix(prefix)?, text.trim())))
    }

    /// Those of the named texts that are filled, as the fields of a command's input.
    pub(crate) fn input(&self, names: &[&str]) -> Map<String, Value> {
        names.iter().filter_map(|name| Some(((*name).to_owned(), Value::from(self.filled(name)?)))).collect()
    }
}

/// A form that a page of this session sent.
pub(crate) struct Form {
    pub(crate) operator: Operator,
    pub(crate) fields: Fields,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = axum::response::Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        use axum::response::IntoResponse;

        let (mut parts, body) = request.into_parts();
        let operator = Operator::from_request_parts(&mut parts, state).await?;
        let request = Request::from_parts(parts, body);
        let fields = read(&operator, request, state).await.map_err(IntoResponse::into_response)?;
        if !carries(fields.exact("csrf"), &operator.csrf) {
            return Err(Problem::foreign_form().into_response());
        }
        Ok(Self { operator, fields })
    }
}

/// A form of somebody who need not be signed in. There is no session that it could misuse.
pub(crate) struct OpenForm {
    pub(crate) visitor: Visitor,
    pub(crate) fields: Fields,
}

impl<S: Send + Sync> FromRequest<S> for OpenForm {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, state).await?;
        let fields = read(&visitor, Request::from_parts(parts, body), state).await?;
        Ok(Self { visitor, fields })
    }
}

async fn read<S: Send + Sync>(visitor: &Visitor, request: Request, state: &S) -> Result<Fields, Problem> {
    let limit = visitor.house.console.limits.max_body_bytes;
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("multipart/form-data") {
        let body = to_bytes(request.into_body(), limit).await.map_err(|_| Problem::form_too_large())?;
        return Ok(Fields::parse(&body));
    }
    let unreadable = |_| Problem::form_too_large();
    let mut parts = Multipart::from_request(request, state).await.map_err(|_| Problem::form_too_large())?;
    let (mut fields, mut size) = (Vec::new(), 0);
    while let Some(part) = parts.next_field().await.map_err(unreadable)? {
        let name = part.name().unwrap_or_default().to_owned();
        let bytes = part.bytes().await.map_err(unreadable)?;
        size += bytes.len();
        if size > limit {
            return Err(Problem::form_too_large());
        }
        fields.push((name, String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(Fields(fields))
}

/// Whether a form carries its session's token. Without a session there is none to carry.
fn carries(stated: &str, token: &str) -> bool {
    !token.is_empty() && bool::from(stated.as_bytes().ct_eq(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_without_a_session_is_never_taken_for_one_of_it() {
        assert!(carries("abc", "abc"));
        assert!(!carries("", "") && !carries("abd", "abc") && !carries("ab", "abc") && !carries("abc", ""));
    }

    #[test]
    fn fields_are_read_as_browsers_write_them() {
        let fields = Fields::of_query(Some("slug=+acme+&name=A%26B&on=on&feature.a=1&feature.b="));
        assert_eq!((fields.text("slug"), fields.text("name"), fields.text("none")), ("acme", "A&B", ""));
        assert!(fields.ticked("on") && !fields.ticked("off"));
        assert_eq!(fields.beneath("feature.").collect::<Vec<_>>(), [("a", "1"), ("b", "")]);
        assert_eq!(fields.input(&["slug", "none"]).len(), 1);
    }
}
