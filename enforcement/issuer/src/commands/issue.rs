use std::path::PathBuf;

use anyhow::{Context as _, Result};
use chancery_issuer::{Directory, Template, write_new};
use clap::Args;
use envelope::LicenseRequest;
use jiff::Timestamp;
use uuid::{Builder, Uuid};

use super::{passphrase::Passphrase, read};

#[derive(Args)]
pub(crate) struct Issue {
    /// Folder of the authority.
    #[arg(long)]
    dir: PathBuf,
    /// What is sold: a .toml or .json file.
    #[arg(long, value_name = "FILE")]
    template: PathBuf,
    /// The deployment's request: JSON with `installationId` and `recipient`, a public JWK.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// Where the license goes.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Issue {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        let template = Template::parse(&self.template, &read(&self.template)?)
            .with_context(|| format!("read the template `{}`", self.template.display()))?;
        let request: LicenseRequest = serde_json::from_str(&read(&self.request)?)
            .with_context(|| format!("read the request `{}`", self.request.display()))?;
        let passphrase = self.passphrase.read()?;
        let signer = Directory::new(&self.dir).signer(&passphrase).context("open the signer")?;

        let claims = template.claims(&request, &new_id(now)?.to_string(), now);
        let token = signer.seal(&claims, &request.recipient).context("seal the license")?;
        write_new(&self.out, &format!("{token}\n"), 0o644).context("write the license")?;
        eprintln!("minted for `{}`, valid until {}", request.installation_id, claims.expires_at);
        println!("{}", claims.license_id);
        Ok(())
    }
}

/// Version 7: ids sort by the time of issue.
#[expect(clippy::disallowed_methods, reason = "this is the edge: the library takes the id as an argument")]
fn new_id(now: Timestamp) -> Result<Uuid> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).context("draw a license id")?;
    let millis = u64::try_from(now.as_millisecond()).context("draw a license id before 1970")?;
    Ok(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}
