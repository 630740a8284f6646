use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use envelope::{Authority, Recipient, Trust};
use jiff::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

use super::read;

#[derive(Args)]
pub(crate) struct Verify {
    /// The license.
    file: PathBuf,
    /// The deployment's private key, PEM.
    #[arg(long, value_name = "FILE")]
    recipient_key: PathBuf,
    /// The roots to trust, PEM.
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        let token = read(&self.file)?;
        let outline = envelope::outline(&token).context("verify the license")?;
        // A key file has no name in it. Whether it is the right key, decrypting shows.
        let key_id = outline.recipient_key_id.unwrap_or_else(|| "unnamed".to_owned());
        let recipient = Recipient::from_pem(&key_id, &Zeroizing::new(read(&self.recipient_key)?))
            .with_context(|| format!("read the key `{}`", self.recipient_key.display()))?;
        let trust = Trust::from_pem(&read(&self.root)?)
            .with_context(|| format!("read the roots `{}`", self.root.display()))?;

        let license = envelope::open(&token, &recipient, &trust, now).context("verify the license")?;
        let claims = license.claims();
        let authority = match license.authority() {
            Authority::Vendor => "vendor",
            Authority::Development => "development",
        };
        if self.json {
            let verified = json!({
                "claims": claims,
                "authority": authority,
                "signerFingerprint": license.signer_fingerprint(),
                "chainExpiresAt": license.chain_expires_at(),
            });
            println!("{}", serde_json::to_string_pretty(&verified)?);
        } else {
            println!("license          {}", claims.license_id);
            println!("licensee         {} ({})", claims.licensee.name, claims.licensee.id);
            println!("installation     {}", claims.binding.installation_id.as_deref().unwrap_or("any"));
            println!("valid            {} to {}", claims.not_before, claims.expires_at);
            println!("grace ends       {}", claims.grace_ends_at());
            println!("authority        {authority}");
            println!("signer           {}", license.signer_fingerprint());
            println!("chain expires    {}", license.chain_expires_at());
        }
        Ok(())
    }
}
