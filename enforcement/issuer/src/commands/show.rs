//! Lines for people.

use anyhow::Result;
use envelope::{Claims, authoring::CertificateSummary};
use serde::Serialize;

/// A document for programs.
pub(crate) fn json(document: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(document)?);
    Ok(())
}

/// A word and what there is to say of it. What came from outside may hold control characters, which no terminal is to
/// obey.
pub(crate) fn line(word: &str, text: impl std::fmt::Display) {
    let text: String =
        text.to_string().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    println!("{word:<16} {text}");
}

/// What a license says, in short.
pub(crate) fn claims(claims: &Claims) {
    line("license", &claims.license_id);
    line("licensee", format_args!("{} ({})", claims.licensee.name, claims.licensee.id));
    line("installation", claims.binding.installation_id.as_deref().unwrap_or("any"));
    line("domains", listed(&claims.binding.base_domains, "any"));
    line("valid", format_args!("{} to {}", claims.not_before, claims.expires_at));
    line("grace ends", claims.grace_ends_at());
    let products = claims.grant.products.iter().map(|(id, product)| format!("{id}/{}", product.edition));
    line("products", listed(&products.collect::<Vec<_>>(), "none"));
}

/// What a certificate says.
pub(crate) fn certificate(certificate: &CertificateSummary) {
    line("certificate", certificate.role.as_str());
    line("subject", &certificate.subject);
    line("issuer", &certificate.issuer);
    line("serial", &certificate.serial);
    line("fingerprint", &certificate.fingerprint);
    line("valid", format_args!("{} to {}", certificate.not_before, certificate.not_after));
    line("policies", listed(&certificate.policies, "none"));
    line("purposes", listed(&certificate.purposes, "any"));
}

/// Texts on one line, or a word for none.
pub(crate) fn listed(texts: &[String], none: &str) -> String {
    if texts.is_empty() { none.to_owned() } else { texts.join(", ") }
}
