use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use super::read;

#[derive(Args)]
pub(crate) struct Inspect {
    /// The license.
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(self) -> Result<()> {
        let outline = envelope::outline(&read(&self.file)?)
            .with_context(|| format!("read the license `{}`", self.file.display()))?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&outline)?);
        } else {
            println!("key management   {}", outline.alg);
            println!("content          {}, {} bytes", outline.enc, outline.content_bytes);
            println!("recipient key    {}", outline.recipient_key_id.as_deref().unwrap_or("not named"));
            println!("token            {} bytes", outline.token_bytes);
        }
        Ok(())
    }
}
