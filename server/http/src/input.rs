//! The input of a call, from wherever the request carries it.

use std::{pin::pin, time::Duration};

use axum::{
    BoxError,
    body::{Bytes, HttpBody},
    extract::{Query, RawPathParams},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header::CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use kernel::Category;
use serde_json::{Map, Value};

use crate::{edge::in_time, failure::Failure, fields::Fields};

/// The query key that names a tenant. It is never a field.
const TENANT: &str = "tenant";

/// Most parameters of a query. Each is compared with all before it.
const MOST_FIELDS: usize = 100;

/// A query, with the tenant it names set apart.
#[derive(Default)]
pub(crate) struct Queried {
    pub(crate) tenant: Option<String>,
    fields: Vec<(String, String)>,
}

impl Queried {
    pub(crate) fn of(uri: &Uri) -> Result<Self, Failure> {
        if uri.query().is_none() {
            return Ok(Self::default());
        }
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Failure::new("malformed_query", Category::Validation, error.body_text()))?;
        if pairs.len() > MOST_FIELDS {
            let message = format!("a query has at most {MOST_FIELDS} parameters");
            return Err(Failure::new("malformed_query", Category::Validation, message));
        }
        let (mut tenant, mut fields) = (None, Vec::<(String, String)>::new());
        for (name, value) in pairs {
            if tenant.is_some() && name == TENANT || fields.iter().any(|(earlier, _)| *earlier == name) {
                return Err(invalid(&name, format!("query parameter `{name}` is given twice")));
            }
            if name == TENANT {
                tenant = Some(value);
            } else {
                fields.push((name, value));
            }
        }
        Ok(Self { tenant, fields })
    }

    /// Where the input travels in the body, nothing else may be in the query.
    pub(crate) fn without_fields(&self) -> Result<(), Failure> {
        match self.fields.first() {
            None => Ok(()),
            Some((name, _)) => Err(invalid(name, format!("query parameter `{name}` is not taken here"))),
        }
    }
}

/// A body that may still be on its way.
pub(crate) trait Incoming: HttpBody<Data = Bytes, Error: Into<BoxError>> {}

impl<B: HttpBody<Data = Bytes, Error: Into<BoxError>>> Incoming for B {}

/// The fields of an input, each given once or alike.
pub(crate) struct Gathered(Map<String, Value>);

impl Gathered {
    /// From a body, which is an object or nothing.
    pub(crate) fn body(value: Value) -> Result<Self, Failure> {
        match value {
            Value::Null => Ok(Self(Map::new())),
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(invalid("", "the body is not an object".to_owned())),
        }
    }

    /// From a query, where nothing is given twice.
    pub(crate) fn query(queried: Queried, fields: &Fields) -> Self {
        let fields = queried.fields.into_iter().map(|(name, text)| {
            let value = fields.read(&name, &text);
            (name, value)
        });
        Self(fields.collect())
    }

    /// From a path, whose parameters have these names in this order.
    pub(crate) fn path<'n>(
        mut self,
        names: impl Iterator<Item = &'n str>,
        values: &RawPathParams,
        fields: &Fields,
    ) -> Result<Self, Failure> {
        for (name, (_, text)) in names.zip(values) {
            self.add(name, fields.read(name, text))?;
        }
        Ok(self)
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    fn add(&mut self, name: &str, value: Value) -> Result<(), Failure> {
        match self.0.get(name) {
            Some(other) if *other != value => {
                Err(invalid(name, format!("field `{name}` is given twice, with different values")))
            }
            _ => {
                self.0.insert(name.to_owned(), value);
                Ok(())
            }
        }
    }
}

/// The JSON of a body; of none, `null`.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: impl Incoming,
    max_bytes: usize,
    left: impl Fn() -> Duration,
) -> Result<Value, Failure> {
    let bytes = match in_time(left, pin!(Limited::new(body, max_bytes).collect())).await {
        Some(Ok(collected)) => collected.to_bytes(),
        Some(Err(error)) if error.is::<LengthLimitError>() => {
            let message = "the body is larger than this server takes";
            return Err(Failure::request(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message));
        }
        Some(Err(error)) => {
            let message = format!("the body did not arrive as a whole: {error}");
            return Err(Failure::new("incomplete_body", Category::Validation, message));
        }
        None => {
            let message = "the body did not arrive in time";
            return Err(Failure::request(StatusCode::REQUEST_TIMEOUT, "request_timeout", message));
        }
    };
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    if !is_json(headers) {
        let message = "the body is not declared as `application/json`";
        return Err(Failure::request(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    }
    let mut value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        let message = format!("the body is not JSON: {error}");
        Failure::new("malformed_json", Category::Validation, message)
            .with("line", error.line())
            .with("column", error.column())
    })?;
    if value.is_null() {
        return Err(invalid("", "the body is `null`, which is no input".to_owned()));
    }
    whole_numbers(&mut value);
    Ok(value)
}

/// `2.0` is an integer to JSON Schema (draft 2020-12, 6.1.1), and so to whoever reads ours.
fn whole_numbers(value: &mut Value) {
    /// Beyond it not every integer is a float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= EXACT);
            if let Some(whole) = float.and_then(|float| format!("{float:.0}").parse::<i64>().ok()) {
                *value = Value::from(whole);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(members) => members.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

/// `application/json` or `application/…+json`, with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let media_type = declared.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let Some((application, subtype)) = media_type.split_at_checked(b"application/".len()) else {
        return false;
    };
    let suffix = subtype.rsplit(|byte| *byte == b'+').next().unwrap_or_default();
    application.eq_ignore_ascii_case(b"application/") && suffix.eq_ignore_ascii_case(b"json")
}

fn invalid(path: &str, message: String) -> Failure {
    Failure::new("invalid_input", Category::Validation, message).with("path", path)
}
