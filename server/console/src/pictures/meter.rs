use askama::{Template, filters::HtmlSafe};

use crate::answers::Quota;

/// How full each quota is, and when it will be.
#[derive(Template)]
#[template(path = "pictures/meters.html")]
pub(crate) struct Meters {
    pub(crate) quotas: Vec<Quota>,
}

impl HtmlSafe for Meters {}

impl Meters {
    /// The width of a bar that is one hundred wide. Something that is used is seen.
    fn width(quota: &Quota) -> String {
        let least = if quota.used.unwrap_or(0) > 0 { 1.0 } else { 0.0 };
        format!("{:.1}", (quota.share(false) * 100.0).max(least))
    }

    fn held(quota: &Quota) -> String {
        format!("{:.1}", quota.share(true) * 100.0)
    }

    fn in_words(quota: &Quota) -> String {
        let reserved = match quota.reserved {
            None | Some(0) => String::new(),
            Some(units) => format!(", {units} reserved"),
        };
        format!("{}: {} of {}{reserved}", quota.quota_key, quota.used_text(), quota.limit_text())
    }
}
