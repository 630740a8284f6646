//! Which status a fault has, in one table (semantics 9.1).

use axum::http::StatusCode;
use config::DenialStatus;
use descriptors::denial::Denial;
use kernel::{BoxProblem, Category, Fault};

/// Each category with its status, and what the status means to a caller.
pub(crate) const TABLE: [(Category, StatusCode, &str); 9] = [
    (Category::Validation, StatusCode::BAD_REQUEST, "The request is not what the command takes."),
    (Category::Unauthorized, StatusCode::UNAUTHORIZED, "The caller is not known, or not well enough."),
    (Category::PaymentRequired, StatusCode::PAYMENT_REQUIRED, "A larger license would help."),
    (Category::Forbidden, StatusCode::FORBIDDEN, "The caller is known and may not."),
    (Category::NotFound, StatusCode::NOT_FOUND, "There is no such thing."),
    (Category::Conflict, StatusCode::CONFLICT, "The present state does not admit it."),
    (Category::RateLimited, StatusCode::TOO_MANY_REQUESTS, "Too much of it; `Retry-After` says when again."),
    (Category::Internal, StatusCode::INTERNAL_SERVER_ERROR, "A defect of the server."),
    (Category::Unavailable, StatusCode::SERVICE_UNAVAILABLE, "Not now."),
];

/// The status of a category.
pub(crate) fn of(category: Category) -> StatusCode {
    let row = TABLE.iter().find(|(listed, ..)| *listed == category);
    row.map_or(StatusCode::INTERNAL_SERVER_ERROR, |(_, status, _)| *status)
}

/// The status of a fault: its category's, with two exceptions.
pub(crate) fn of_fault(fault: &Fault<BoxProblem>, denials: DenialStatus) -> StatusCode {
    let denied = fault.refusal().is_some_and(|refusal| refusal.cause::<Denial>().is_some());
    match fault {
        Fault::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        _ if denied && denials == DenialStatus::Forbidden => StatusCode::FORBIDDEN,
        _ => of(fault.category()),
    }
}
