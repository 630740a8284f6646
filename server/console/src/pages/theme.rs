//! `POST /console/theme`: light, dark, or as the system has it.

use axum::{
    http::header::SET_COOKIE,
    response::{IntoResponse, Redirect, Response},
};

use crate::{form::OpenForm, visitor::Theme};

const A_YEAR: u32 = 365 * 24 * 60 * 60;

pub(crate) async fn choose(form: OpenForm) -> Response {
    let theme = Theme::parse(form.fields.text("theme"));
    let cookie = format!(
        "{}={}; Path=/console; Max-Age={A_YEAR}; SameSite=Lax; HttpOnly",
        Theme::COOKIE,
        theme.as_str()
    );
    ([(SET_COOKIE, cookie)], Redirect::to(own(form.fields.text("back")))).into_response()
}

/// The address, if it is one of the console's own pages; no form leads elsewhere.
pub(crate) fn own(path: &str) -> &str {
    let within = path == "/console" || ["/console/", "/console?"].iter().any(|start| path.starts_with(start));
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if within && plain { path } else { "/console" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_back_to_the_console_only() {
        assert_eq!(own("/console/audit?result=failed"), "/console/audit?result=failed");
        for bad in
            ["https://elsewhere/console/", "//elsewhere", "/consoles", "/console/\r\nx", "/console/a b", ""]
        {
            assert_eq!(own(bad), "/console", "{bad}");
        }
    }
}
