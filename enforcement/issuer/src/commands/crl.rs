use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use chancery_issuer::{Book, Directory, Entry, Name, Shelf, replace};
use clap::Args;
use envelope::{Crls, authoring::crls};
use jiff::Timestamp;
use serde_json::json;

use super::{Folder, days_after, passphrase::Passphrase, show};

#[derive(Args)]
pub(crate) struct Crl {
    #[command(flatten)]
    folder: Folder,
    /// Only these authorities; all if none is named. A deployment needs a list of every authority of its license's path.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    under: Vec<Name>,
    /// Where the bundle goes, to be mounted as `license.trust.crl-bundle-path`; what is there is replaced.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Days until the lists are due to be replaced. From then on deployments refuse them.
    #[arg(long, default_value_t = 30)]
    valid_days: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Crl {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        let passphrase = self.passphrase.read()?;
        let directory = self.folder.directory();
        let mut book = directory.book().context("open the folder")?;
        let all = directory.names(Shelf::Authorities)?;
        let authorities = if self.under.is_empty() { all } else { self.under.clone() };

        let mut bundle = String::new();
        for name in &authorities {
            directory.choose(Some(name), Shelf::Authorities, "--under", |_| true)?;
            bundle += &if directory.has_key(name) {
                let until = days_after(now, self.valid_days);
                sign(&directory, &mut book, name, &passphrase, now..until)
                    .with_context(|| format!("sign the list of `{name}`"))?
            } else {
                kept(&directory, name, now)?
            };
        }
        // What deployments would not read is not published.
        Crls::from_pem(&bundle).context("publish the lists")?;
        replace(&self.out, &bundle, 0o644).context("publish the lists")?;

        let lists = crls(&bundle)?;
        eprintln!("published {} lists to `{}`", lists.len(), self.out.display());
        if self.json {
            let lists = authorities
                .iter()
                .zip(&lists)
                .map(|(name, list)| json!({ "name": name.as_str(), "list": list }));
            return show::json(&lists.collect::<Vec<_>>());
        }
        for (name, list) in authorities.iter().zip(&lists) {
            let due = list.next_update.map(|due| due.to_string()).unwrap_or_default();
            println!("{name:<24} {:>4} revoked, due {due}", list.revoked.len());
        }
        Ok(())
    }
}

/// A new list. Its number is in the book before the list is anywhere.
fn sign(
    directory: &Directory,
    book: &mut Book,
    name: &Name,
    passphrase: &str,
    validity: std::ops::Range<Timestamp>,
) -> Result<String> {
    let authority = directory.authority(name, passphrase)?;
    let number = book.next_list_number(name.as_str());
    let list = authority.crl(&book.revoked_by(name.as_str()), number, validity.start, validity.end)?;
    let (issuer, next_update) = (name.to_string(), validity.end);
    book.append(Entry::List { at: validity.start, issuer, number, next_update })?;
    directory.store_crl(name, &list)?;
    Ok(list)
}

/// The last list of an authority whose key is in a safe. Made for long, it need not be made often.
fn kept(directory: &Directory, name: &Name, now: Timestamp) -> Result<String> {
    let Some(list) = directory.crl(name)? else {
        bail!("publish the list of `{name}`: its key is not here, and no list of it either");
    };
    match crls(&list)?.first().and_then(|list| list.next_update) {
        Some(due) if now < due => Ok(list),
        due => bail!(
            "publish the list of `{name}`: its key is not here, and its last list was due {}",
            due.map(|due| due.to_string()).unwrap_or_default()
        ),
    }
}
