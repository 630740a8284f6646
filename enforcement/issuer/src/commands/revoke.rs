use anyhow::{Context as _, Result, bail};
use chancery_issuer::{Book, Entry, Name};
use clap::{Args, ValueEnum};
use envelope::authoring::{Reason as Code, Serial};
use jiff::Timestamp;

use super::Folder;

#[derive(Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    folder: Folder,
    /// The authority or signer to revoke.
    #[arg(required_unless_present = "serial")]
    name: Option<String>,
    /// The same by the serial number of its certificate, in hex.
    #[arg(long, conflicts_with = "name")]
    serial: Option<Serial>,
    /// Why.
    #[arg(long, value_enum)]
    reason: Reason,
}

/// Reasons of RFC 5280, 5.3.1, that are final.
#[derive(Clone, Copy, ValueEnum)]
enum Reason {
    /// No reason is given.
    Unspecified,
    /// The key is known or thought to be in wrong hands.
    KeyCompromise,
    /// The same of an authority's key.
    CaCompromise,
    /// The holder is not whom the certificate names any more.
    AffiliationChanged,
    /// There is a new certificate.
    Superseded,
    /// It is not needed any more.
    CessationOfOperation,
    /// What it entitles to was taken away.
    PrivilegeWithdrawn,
}

impl Revoke {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        let mut book = self.folder.directory().book().context("open the folder")?;
        let (name, serial, issuer) = self.sought(&book)?;
        if let Some((since, _)) = book.revocation(&serial) {
            bail!("revoke `{name}`: it is revoked since {since}");
        }
        let Some(issuer) = issuer else {
            bail!(
                "revoke `{name}`: no authority of this folder issued it, so no list of this folder can name it"
            );
        };
        let reason = self.reason.into();
        book.append(Entry::Revocation {
            at: now,
            name: name.clone(),
            serial: serial.clone(),
            issuer,
            reason,
        })?;
        eprintln!("revoked `{name}`; it takes effect where the lists are replaced: run `crl`");
        println!("{serial}");
        Ok(())
    }

    /// The certificate that is named: its name, its number, its issuer.
    fn sought(&self, book: &Book) -> Result<(String, Serial, Option<String>)> {
        let wanted = self.name.as_deref().map(str::parse::<Name>).transpose()?;
        let is_sought = |name: &str, serial: &Serial| match &self.serial {
            Some(sought) => serial == sought,
            None => wanted.as_ref().is_some_and(|wanted| wanted.as_str() == name),
        };
        let found = book.certificates().filter(|booked| is_sought(booked.name, booked.serial)).last();
        if let Some(booked) = found {
            return Ok((booked.name.to_owned(), booked.serial.clone(), booked.issuer.map(str::to_owned)));
        }
        if let Some((_, signer)) = self.name.as_deref().and_then(|id| book.license(id)) {
            let others = book.licenses().filter(|(_, by)| *by == signer).count() - 1;
            bail!(
                "revoke the license `{}`: a license is revoked with its signer. That is `{signer}`, which has signed \
                 {others} more",
                self.name.as_deref().unwrap_or_default()
            );
        }
        match &self.serial {
            Some(serial) => bail!("revoke the certificate `{serial}`: the book does not know it"),
            None => bail!("revoke `{}`: the book does not know it", self.name.as_deref().unwrap_or_default()),
        }
    }
}

impl From<Reason> for Code {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Unspecified => Self::Unspecified,
            Reason::KeyCompromise => Self::KeyCompromise,
            Reason::CaCompromise => Self::CaCompromise,
            Reason::AffiliationChanged => Self::AffiliationChanged,
            Reason::Superseded => Self::Superseded,
            Reason::CessationOfOperation => Self::CessationOfOperation,
            Reason::PrivilegeWithdrawn => Self::PrivilegeWithdrawn,
        }
    }
}
