use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use envelope::{
    Authority, Crls, Partners, PinnedKeys, Recipient, Trust, VerifiedLicense, armor::dearmor, oid, open_key,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{
    catalog::{CatalogFiles, policies},
    read, show,
};

#[derive(Args)]
pub(crate) struct Verify {
    /// The license, in either form.
    file: PathBuf,
    /// Of a sealed license, the deployment's private key, PEM.
    #[arg(long, value_name = "FILE", requires = "root", required_unless_present = "keys")]
    recipient_key: Option<PathBuf>,
    /// Of a sealed license, the roots to trust, PEM.
    #[arg(long, value_name = "FILE", required_unless_present = "keys")]
    root: Option<PathBuf>,
    /// Of a sealed license, the revocation lists to look into, PEM.
    #[arg(long, value_name = "FILE", conflicts_with = "keys")]
    crl: Option<PathBuf>,
    /// Of a license in key format, the public keys to trust, each a JWK.
    #[arg(long = "key", value_name = "FILE", num_args = 1.., conflicts_with_all = ["recipient_key", "root"])]
    keys: Vec<PathBuf>,
    #[command(flatten)]
    catalog: CatalogFiles,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        let text = read(&self.file)?;
        let token = dearmor(&text).context("verify the license")?;
        let license = match (&self.recipient_key, &self.root) {
            (Some(key), Some(root)) => self.open(&token, key, root, now)?,
            _ => self.open_key(&token)?,
        };

        let claims = license.claims();
        let ends = claims.grace_ends_at();
        if self.json {
            let chain_expires_at =
                (license.chain_expires_at() != Timestamp::MAX).then(|| license.chain_expires_at());
            show::json(&json!({
                "claims": claims,
                "authority": authority(&license),
                "signerFingerprint": license.signer_fingerprint(),
                "chainExpiresAt": chain_expires_at,
                "listsFreshUntil": license.lists_fresh_until(),
            }))?;
        } else {
            show::claims(claims);
            show::line("authority", authority(&license));
            show::line("signer", license.signer_fingerprint());
            if license.chain_expires_at() != Timestamp::MAX {
                show::line("chain expires", license.chain_expires_at());
            }
            if let Some(due) = license.lists_fresh_until() {
                show::line("lists due", due);
            }
        }
        if now < claims.not_before {
            bail!("verify the license: it is valid from {} on", claims.not_before);
        }
        if ends <= now {
            bail!("verify the license: it ended {ends}, grace included");
        }
        Ok(())
    }

    fn open(&self, token: &str, key: &Path, root: &Path, now: Timestamp) -> Result<VerifiedLicense> {
        let outline = envelope::outline(token).context("verify the license")?;
        // A key file has no name in it. Whether it is the right key, decrypting shows.
        let key_id = outline.recipient_key_id.unwrap_or_else(|| "unnamed".to_owned());
        let recipient = Recipient::from_pem(&key_id, &Zeroizing::new(read(key)?))
            .with_context(|| format!("read the key `{}`", key.display()))?;
        let trust =
            Trust::from_pem(&read(root)?).with_context(|| format!("read the roots `{}`", root.display()))?;
        let products = policies(self.catalog.read()?.as_ref())?;
        let mut trust =
            trust.partners(Partners { markers: vec![oid::PARTNER_CA_POLICY], allowed: Vec::new(), products });
        if let Some(crl) = &self.crl {
            let lists = Crls::from_pem(&read(crl)?);
            trust =
                trust.checking_crls(lists.with_context(|| format!("read the lists `{}`", crl.display()))?);
        }
        envelope::open(token, &recipient, &trust, now).context("verify the license")
    }

    fn open_key(&self, token: &str) -> Result<VerifiedLicense> {
        let jwks = self.keys.iter().map(|file| {
            let jwk: Map<String, Value> = serde_json::from_str(&read(file)?)
                .with_context(|| format!("read the key `{}`", file.display()))?;
            let kid = jwk.get("kid").and_then(Value::as_str);
            let kid = kid.with_context(|| format!("find the `kid` in `{}`", file.display()))?;
            Ok((kid.to_owned(), jwk))
        });
        let jwks = jwks.collect::<Result<Vec<_>>>()?;
        let pinned =
            PinnedKeys::new(jwks.iter().map(|(kid, jwk)| (kid.as_str(), jwk))).context("pin the keys")?;
        open_key(token, &pinned).context("verify the license")
    }
}

fn authority(license: &VerifiedLicense) -> &'static str {
    match license.authority() {
        Authority::Vendor => "vendor",
        Authority::Development => "development",
    }
}
