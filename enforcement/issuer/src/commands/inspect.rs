use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use envelope::{
    authoring::{CrlSummary, Document},
    request::LicenseRequest,
};
use serde_json::json;

use super::{read, show};

#[derive(Args)]
pub(crate) struct Inspect {
    /// A license or a request in either form, certificates, or revocation lists.
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(self) -> Result<()> {
        let document = Document::read(&read(&self.file)?)
            .with_context(|| format!("inspect `{}`", self.file.display()))?;
        if self.json {
            return show::json(&match &document {
                Document::SealedLicense(outline) => json!({ "kind": "sealed-license", "outline": outline }),
                Document::LicenseKey(outline) => {
                    json!({ "kind": "license-key", "verified": false, "outline": outline })
                }
                Document::LicenseRequest(request) => json!({
                    "kind": "license-request", "verified": true, "fingerprint": request.fingerprint(),
                    "request": request,
                }),
                Document::Certificates(certificates) => {
                    json!({ "kind": "certificates", "certificates": certificates })
                }
                Document::Crls(lists) => json!({ "kind": "revocation-lists", "lists": lists }),
                Document::PrivateKey { encrypted } => {
                    json!({ "kind": "private-key", "encrypted": encrypted })
                }
            });
        }
        match &document {
            Document::SealedLicense(outline) => {
                show::line("kind", "a license sealed to a deployment; only its key opens it");
                show::line("key management", &outline.alg);
                show::line("content", format_args!("{}, {} bytes", outline.enc, outline.content_bytes));
                show::line("recipient key", outline.recipient_key_id.as_deref().unwrap_or("not named"));
                show::line("token", format_args!("{} bytes", outline.token_bytes));
            }
            Document::LicenseKey(outline) => {
                show::line("kind", "a license in key format; nobody has looked at its signature");
                show::line("key", &outline.kid);
                println!("{}", serde_json::to_string_pretty(&outline.claims)?);
            }
            Document::LicenseRequest(request) => request_lines(request),
            Document::Certificates(certificates) => each(certificates, show::certificate),
            Document::Crls(lists) => each(lists, list_lines),
            Document::PrivateKey { encrypted: true } => show::line("kind", "a private key, encrypted"),
            Document::PrivateKey { encrypted: false } => {
                show::line("kind", "a private key, not encrypted; it is never sent to anybody");
            }
        }
        Ok(())
    }
}

fn request_lines(request: &LicenseRequest) {
    let document = request.document();
    show::line("kind", "a license request, signed with the key it names");
    show::line("fingerprint", request.fingerprint());
    show::line("request", format_args!("{}, made {}", document.request_id, document.generated_at));
    show::line("organization", &document.organization_name);
    show::line("installation", request.installation_id());
    show::line("domains", show::listed(&document.base_domains, "none"));
    for contact in &document.contacts {
        let roles = contact.roles.iter().map(|role| format!("{role:?}").to_lowercase());
        let roles = roles.collect::<Vec<_>>().join(", ");
        let (given, family) = (&contact.given_name, &contact.family_name);
        show::line("contact", format_args!("{given} {family} <{}>, {roles}", contact.email));
    }
    show::line("recipient key", request.recipient().key_id());
    if let Some(renews) = &document.renews {
        show::line("renews", renews);
    }
    if let Some(wanted) = &document.wanted {
        show::line("wanted", format_args!("{}/{}", wanted.product, wanted.edition));
    }
}

fn list_lines(list: &CrlSummary) {
    show::line("list of", &list.issuer);
    show::line("number", list.number.as_deref().unwrap_or("none"));
    show::line("made", list.this_update);
    show::line("due", list.next_update.map_or_else(|| "never".to_owned(), |due| due.to_string()));
    for revoked in &list.revoked {
        let reason = revoked.reason.map(|reason| format!(", {reason:?}")).unwrap_or_default();
        show::line("revoked", format_args!("{} since {}{reason}", revoked.serial, revoked.at));
    }
}

/// With an empty line between two.
fn each<T>(items: &[T], show: impl Fn(&T)) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            println!();
        }
        show(item);
    }
}
