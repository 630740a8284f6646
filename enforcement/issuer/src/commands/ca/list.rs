use anyhow::Result;
use chancery_issuer::{Book, Directory, Shelf};
use clap::Args;
use envelope::authoring::CertificateSummary;
use jiff::Timestamp;
use serde::Serialize;

use crate::commands::{Folder, show};

#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    folder: Folder,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What there is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inventory {
    authorities: Vec<Line>,
    signers: Vec<Line>,
    keys: Vec<String>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    state: &'static str,
    #[serde(flatten)]
    certificate: CertificateSummary,
}

impl List {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        let directory = self.folder.directory();
        let book = directory.book()?;
        let inventory = Inventory {
            authorities: lines(&directory, &book, Shelf::Authorities, now)?,
            signers: lines(&directory, &book, Shelf::Signers, now)?,
            keys: directory.license_keys()?.iter().map(ToString::to_string).collect(),
        };
        if self.json {
            return show::json(&inventory);
        }
        for line in inventory.authorities.iter().chain(&inventory.signers) {
            let Line { name, state, certificate } = line;
            let role = certificate.role.as_str();
            println!(
                "{name:<24} {role:<12} {state:<8} until {}  {}",
                certificate.not_after, certificate.serial
            );
        }
        for kid in &inventory.keys {
            println!("{kid:<24} {:<12}", "key");
        }
        Ok(())
    }
}

fn lines(directory: &Directory, book: &Book, on: Shelf, now: Timestamp) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for name in directory.names(on)? {
        let chain = directory.certificates(on, &name)?;
        let is_revoked = chain.iter().any(|certificate| book.revocation(&certificate.serial).is_some());
        let is_expired = chain.iter().any(|certificate| certificate.not_after <= now);
        let state = match (is_revoked, is_expired) {
            (true, _) => "revoked",
            (false, true) => "expired",
            (false, false) => "valid",
        };
        if let Some(certificate) = chain.into_iter().next() {
            lines.push(Line { name: name.to_string(), state, certificate });
        }
    }
    Ok(lines)
}
