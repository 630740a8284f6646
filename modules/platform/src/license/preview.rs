//! `platform.license.preview`

use license::{LicenseProjection, Preview, Replaced, SourceKind};
use sdk::prelude::*;

use super::LicenseText;
use crate::{LICENSE_WRITE, Platform, PlatformError};

/// Show what would happen if a license were installed. Nothing does.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("platform.license.preview", Platform -> LicensePreview)]
#[access(permission = LICENSE_WRITE)]
#[license(none)]
#[http(POST "/api/platform/admin/v1/application/license/preview")]
pub struct PreviewLicense {
    /// The license.
    pub license: LicenseText,
}

/// What would happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LicensePreview {
    /// The license, as it would run.
    pub license: LicenseProjection,
    /// Whether it would be installed.
    pub installable: bool,
    /// What it would take the place of, in words.
    pub overwrite_impact: Vec<String>,
    /// What it would take the place of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replaces: Option<Replaced>,
    /// Whether this deployment has the key that licenses are sealed to.
    pub recipient_private_key_present: bool,
    /// What an operator should know before.
    pub warnings: Vec<String>,
}

impl Handle<PreviewLicense> for Platform {
    async fn handle(&self, cx: &Cx, command: PreviewLicense) -> Result<LicensePreview, PlatformError> {
        let running = self.0.deciding.license();
        let preview = running.preview(command.license.expose(), cx.now()).await;
        // A key that cannot be read is no key to open a license with; the license's own detail says why.
        let recipient_private_key_present = self.0.desk.state().is_ok_and(|state| state.key_present);
        let Preview { license, installable, replaces, warnings } = preview;
        let overwrite_impact = replaces.as_ref().map(impact).unwrap_or_default();
        Ok(LicensePreview {
            license,
            installable,
            overwrite_impact,
            replaces,
            recipient_private_key_present,
            warnings,
        })
    }
}

fn impact(replaced: &Replaced) -> Vec<String> {
    let Replaced { license_id, status, source, expires_at } = replaced;
    let mut impact =
        vec![format!("license `{license_id}`, {}, which expires at {expires_at}", status.as_str())];
    impact.push(match source {
        SourceKind::Installed => {
            "that license was installed; it is not kept, so keep its file to be able to go back".to_owned()
        }
        SourceKind::Path | SourceKind::Token | SourceKind::Development => format!(
            "that license comes from the {} that is configured; it stays there, and counts again once the installed one is taken away",
            match source {
                SourceKind::Token => "token",
                _ => "file",
            }
        ),
    });
    impact
}
