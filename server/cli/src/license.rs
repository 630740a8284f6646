//! `chancery license`

use std::{collections::BTreeSet, path::PathBuf, str::FromStr};

use clap::{Args, Subcommand};
use envelope::request::{Contact, ContactRole};

use crate::{Ask, ConfigFile};

/// `chancery license`
#[derive(Debug, Subcommand)]
pub enum License {
    /// Show the state of the license: as configured, and as installed where the database answers
    ///
    /// Changes nothing. Exits with 1 where no license is usable.
    Status(Status),
    /// Make the signed request that the vendor needs to make a license for this deployment
    ///
    /// Makes the recipient key where `license.recipient.private-key-path` does not exist yet; it never leaves. Compare
    /// the fingerprint with the vendor over the phone: it alone tells that the request is yours.
    Request(Box<Request>),
    /// Show what a license file is, and whether it would be usable here and now
    ///
    /// Takes the compact and the armored form. With a configuration, exits with 0 only if the license would be usable.
    Inspect(Inspect),
    /// Install a license on a running server, after showing what it would replace
    Install(Install),
    /// Say what changes from one license to another
    Diff(Diff),
    /// Say what would change if a license were installed: commands, features, and quotas that are used beyond it
    Simulate(Simulate),
}

/// `chancery license status`
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub config: ConfigFile,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `chancery license request`
#[derive(Debug, Args)]
pub struct Request {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub config: ConfigFile,
    /// Who asks
    #[arg(long, value_name = "NAME")]
    pub organization: String,
    /// Whom the vendor may talk to, as `Given Family <mail@host>:TECHNICAL,ADMINISTRATOR`; may be repeated
    #[arg(long = "contact", value_name = "CONTACT", required = true)]
    pub contacts: Vec<ContactArg>,
    /// A domain the installation serves under; may be repeated. The host of `server.public-url` when not stated
    #[arg(long = "base-domain", value_name = "DOMAIN")]
    pub base_domains: Vec<String>,
    /// Ask for a renewal of the present license
    #[arg(long)]
    pub renew: bool,
    /// The product that is wanted
    #[arg(long, requires = "edition")]
    pub product: Option<String>,
    /// The edition of it that is wanted
    #[arg(long, requires = "product")]
    pub edition: Option<String>,
    /// Where the request goes: FILE in compact form, FILE.txt to be pasted into a mail. Printed when not stated
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `chancery license inspect`
#[derive(Debug, Args)]
pub struct Inspect {
    /// The license
    pub file: PathBuf,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub config: ConfigFile,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `chancery license install`
#[derive(Debug, Args)]
pub struct Install {
    /// The license
    pub file: PathBuf,
    /// Only show what would happen
    #[arg(long)]
    pub preview: bool,
    /// Install without asking
    #[arg(long, conflicts_with = "preview")]
    pub yes: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub ask: Ask,
}

/// `chancery license diff`
#[derive(Debug, Args)]
pub struct Diff {
    /// The one
    pub old: PathBuf,
    /// The other
    pub new: PathBuf,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub config: ConfigFile,
    /// Exit with 1 if something changes
    #[arg(long)]
    pub exit_code: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `chancery license simulate`
#[derive(Debug, Args)]
pub struct Simulate {
    /// The license
    pub file: PathBuf,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub config: ConfigFile,
    /// Exit with 1 if something would be lost
    #[arg(long)]
    pub exit_code: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Somebody the vendor may talk to, as one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactArg(pub Contact);

impl FromStr for ContactArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected `Given Family <mail@host>:TECHNICAL,ADMINISTRATOR`".to_owned();
        let (name, rest) = text.split_once('<').ok_or_else(expected)?;
        let (email, roles) = rest.split_once('>').ok_or_else(expected)?;
        // The last word is the family name; whoever has more of them can write a request by the API.
        let (given, family) = name.trim().rsplit_once(char::is_whitespace).ok_or_else(expected)?;
        let roles = roles.trim().strip_prefix(':').ok_or_else(expected)?;
        let role = |name: &str| match name.trim() {
            "TECHNICAL" => Ok(ContactRole::Technical),
            "ADMINISTRATOR" => Ok(ContactRole::Administrator),
            other => Err(format!("`{other}` is not a role; the roles are TECHNICAL and ADMINISTRATOR")),
        };
        Ok(Self(Contact {
            email: email.trim().to_owned(),
            given_name: given.trim().to_owned(),
            family_name: family.to_owned(),
            roles: roles.split(',').map(role).collect::<Result<BTreeSet<_>, _>>()?,
            display_name: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_a_name_an_address_and_roles() {
        let ContactArg(contact) =
            "Ada King Lovelace <ada@acme.example>:TECHNICAL,ADMINISTRATOR".parse().unwrap();
        assert_eq!((contact.given_name.as_str(), contact.family_name.as_str()), ("Ada King", "Lovelace"));
        assert_eq!((contact.email.as_str(), contact.roles.len()), ("ada@acme.example", 2));
        for bad in [
            "",
            "Ada <ada@acme.example>:TECHNICAL",
            "Ada Lovelace ada@acme.example:TECHNICAL",
            "Ada Lovelace <ada@acme.example>",
            "Ada Lovelace <ada@acme.example>:",
            "Ada Lovelace <ada@acme.example>:BOSS",
        ] {
            assert!(bad.parse::<ContactArg>().is_err(), "{bad}");
        }
    }
}
