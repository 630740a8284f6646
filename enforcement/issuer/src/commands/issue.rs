use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use chancery_issuer::{
    Book, Difference, Directory, Entry, Name, Shelf, Template, check_new, differences, write_new,
};
use clap::{Args, ValueEnum};
use descriptors::catalog::Catalog;
use envelope::{
    Claims,
    armor::{Label, armor},
    authoring::Role,
    claims::Revocation,
    request::LicenseRequest,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::{Builder, Uuid};

use super::{
    Folder,
    ca::check_unrevoked,
    catalog::{CatalogFiles, policies},
    passphrase::Passphrase,
    read, show,
};

#[derive(Args)]
pub(crate) struct Issue {
    #[command(flatten)]
    folder: Folder,
    /// What is sold: a .toml or .json file.
    #[arg(long, value_name = "FILE")]
    template: PathBuf,
    #[command(flatten)]
    catalog: CatalogFiles,
    /// The deployment's request, in either form.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// The fingerprint that the customer told over another channel. Another request is refused.
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
    /// Where the license goes. The same to be pasted goes beside it, into FILE.txt.
    #[arg(long, value_name = "FILE", required_unless_present = "preview")]
    out: Option<PathBuf>,
    /// The signer, or the key of a license in key format; the only one if none is named.
    #[arg(long, value_name = "NAME")]
    signer: Option<Name>,
    /// Sealed to the deployment and signed by a certificate, or signed with a pinned key.
    #[arg(long, value_enum, default_value_t = Format::Sealed)]
    format: Format,
    /// Put the last revocation lists of the signer's authorities into the license.
    #[arg(long)]
    staple_crl: bool,
    /// Show what the license would say, and sign nothing.
    #[arg(long)]
    preview: bool,
    /// What a license before said, as JSON, to be compared with in a preview; the one that the request renews, if it is
    /// in the book.
    #[arg(long, value_name = "FILE", requires = "preview")]
    previous: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    passphrase: Passphrase,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For any deployment.
    Sealed,
    /// For builds that pin the key.
    Key,
}

impl Format {
    const fn label(self) -> Label {
        match self {
            Self::Sealed => Label::License,
            Self::Key => Label::LicenseKey,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Key => "key",
        }
    }
}

impl Issue {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        let template = Template::parse(&self.template, &read(&self.template)?)
            .with_context(|| format!("read the template `{}`", self.template.display()))?;
        let request = LicenseRequest::verify(&read(&self.request)?)
            .with_context(|| format!("read the request `{}`", self.request.display()))?;
        self.check_fingerprint(&request)?;
        let catalog = self.catalog.read()?;
        let grant = template.grant(catalog.as_ref()).context("expand the template")?;
        let mut claims = template.claims(grant, &request, &new_id(now)?.to_string(), now);
        let directory = self.folder.directory();
        let book = directory.book().context("open the folder")?;

        let (given, asked) = (&claims.grant.products, request.document().wanted.as_ref());
        if let Some(asked) = asked
            && given.get(&asked.product).is_none_or(|sold| sold.edition != asked.edition)
        {
            eprintln!("note: the request asks for {}/{}", asked.product, asked.edition);
        }
        if self.preview {
            return self.show_preview(&claims, &request, &book);
        }
        let Some(out) = &self.out else { bail!("find --out") };
        if book.license(&claims.license_id).is_some() {
            bail!(
                "mint `{}`: a license of this id was minted before; a renewal has another one",
                claims.license_id
            );
        }
        let beside = beside(out);
        check_new(out).and_then(|()| check_new(&beside)).context("write the license")?;
        let (token, signer) = match self.format {
            Format::Sealed => self.seal(&directory, &book, &mut claims, &request, catalog.as_ref())?,
            Format::Key => self.sign(&directory, &claims)?,
        };
        self.hand_out(book, &claims, &request, (&token, &signer), (out, &beside), now)
    }

    fn check_fingerprint(&self, request: &LicenseRequest) -> Result<()> {
        let Some(told) = &self.fingerprint else {
            eprintln!("note: ask the customer for the fingerprint {}", request.fingerprint());
            return Ok(());
        };
        let told: String = told.chars().filter(char::is_ascii_hexdigit).collect();
        if told.to_lowercase() == request.fingerprint() {
            return Ok(());
        }
        bail!("use the request: its fingerprint is {}, another one than was told", request.fingerprint())
    }

    fn seal(
        &self,
        directory: &Directory,
        book: &Book,
        claims: &mut Claims,
        request: &LicenseRequest,
        catalog: Option<&Catalog>,
    ) -> Result<(String, Name)> {
        let passphrase = self.passphrase.read()?;
        let name = directory.choose(self.signer.as_ref(), Shelf::Signers, "--signer", |_| true)?;
        check_unrevoked(directory, book, Shelf::Signers, &name)?;
        let signer = directory.signer(&name, &passphrase).context("open the signer")?;
        if self.staple_crl {
            let crls = lists_above(directory, &name)?;
            let revocation =
                claims.revocation.get_or_insert(Revocation { crls: Vec::new(), status_reference: None });
            revocation.crls = crls;
        }
        let products = policies(catalog)?;
        let token =
            signer.seal_products(claims, request.recipient(), &products).context("seal the license")?;
        Ok((token, name))
    }

    fn sign(&self, directory: &Directory, claims: &Claims) -> Result<(String, Name)> {
        if self.staple_crl {
            bail!("staple revocation lists: no certificate stands behind a license in key format");
        }
        let passphrase = self.passphrase.read()?;
        let key = directory.license_key(self.signer.as_ref(), &passphrase).context("open the key")?;
        let token = key.seal(claims).context("sign the license")?;
        Ok((token, key.kid().parse()?))
    }

    /// The book first, then the files.
    fn hand_out(
        &self,
        mut book: Book,
        claims: &Claims,
        request: &LicenseRequest,
        (token, signer): (&str, &Name),
        (out, beside): (&Path, &Path),
        now: Timestamp,
    ) -> Result<()> {
        book.append(Entry::License {
            at: now,
            format: self.format.as_str().to_owned(),
            signer: signer.to_string(),
            request_id: request.document().request_id.clone(),
            recipient_fingerprint: request.fingerprint().to_owned(),
            claims: Box::new(claims.clone()),
        })?;
        write_new(out, format!("{token}\n"), 0o644).context("write the license")?;
        write_new(beside, armor(self.format.label(), token), 0o644).context("write the license")?;
        eprintln!(
            "minted for `{}` with `{signer}`, valid until {}",
            request.installation_id(),
            claims.expires_at
        );
        if self.json {
            return show::json(&json!({
                "licenseId": claims.license_id,
                "format": self.format.as_str(),
                "signer": signer.as_str(),
                "installationId": request.installation_id(),
                "recipientFingerprint": request.fingerprint(),
                "expiresAt": claims.expires_at,
                "files": [out, beside],
            }));
        }
        println!("{}", claims.license_id);
        Ok(())
    }

    fn show_preview(&self, claims: &Claims, request: &LicenseRequest, book: &Book) -> Result<()> {
        let previous = match (&self.previous, &request.document().renews) {
            (Some(file), _) => {
                let text = read(file)?;
                let before: Value = serde_json::from_str(&text)
                    .with_context(|| format!("read the claims `{}`", file.display()))?;
                // `verify --json` has them one level down.
                Some(before.get("claims").cloned().unwrap_or(before))
            }
            (None, Some(renews)) => {
                let known = book.license(renews).map(|(claims, _)| serde_json::to_value(claims));
                if known.is_none() {
                    eprintln!(
                        "note: the book does not know `{renews}`, which the request renews; give --previous"
                    );
                }
                known.transpose()?
            }
            (None, None) => None,
        };
        let after = serde_json::to_value(claims)?;
        let found = previous.map(|before| differences(&before, &after));
        eprintln!("a preview; nothing was signed");
        if self.json {
            return show::json(&json!({
                "claims": after, "recipientFingerprint": request.fingerprint(), "differences": found,
            }));
        }
        show::claims(claims);
        show::line("fingerprint", request.fingerprint());
        println!("\n{}", serde_json::to_string_pretty(&after)?);
        for Difference { path, before, after } in found.iter().flatten() {
            match (before, after) {
                (Some(before), Some(after)) => println!("~ {path}  {before} -> {after}"),
                (Some(before), None) => println!("- {path}  {before}"),
                (None, Some(after)) => println!("+ {path}  {after}"),
                (None, None) => {}
            }
        }
        Ok(())
    }
}

/// Where the form to be pasted goes.
fn beside(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".txt");
    name.into()
}

/// The last list of every authority above a signer, as claims carry them: DER in base64, which is what PEM holds.
fn lists_above(directory: &Directory, signer: &Name) -> Result<Vec<String>> {
    let chain = directory.certificates(Shelf::Signers, signer)?;
    let mut lists = Vec::new();
    for name in directory.names(Shelf::Authorities)? {
        let own = directory.certificates(Shelf::Authorities, &name)?;
        let Some(own) = own.first() else { continue };
        let is_above = chain.iter().any(|certificate| certificate.fingerprint == own.fingerprint)
            || (own.role == Role::Root && chain.last().is_some_and(|last| last.issuer == own.subject));
        if is_above {
            let list = directory.crl(&name)?;
            let list =
                list.with_context(|| format!("staple the list of `{name}`: there is none, run `crl`"))?;
            lists.push(list.lines().filter(|line| !line.starts_with('-')).collect());
        }
    }
    Ok(lists)
}

/// Version 7: ids sort by the time of issue.
#[expect(clippy::disallowed_methods, reason = "this is the edge: the library takes the id as an argument")]
fn new_id(now: Timestamp) -> Result<Uuid> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).context("draw a license id")?;
    let millis = u64::try_from(now.as_millisecond()).context("draw a license id before 1970")?;
    Ok(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}
