mod export;
mod import;
mod init;
mod intermediate;
mod key;
mod list;
mod partner;
mod signer;

use anyhow::{Context as _, Result, bail};
use chancery_issuer::{Book, Directory, DirectoryError, Entry, Name, Shelf};
use clap::{Subcommand, ValueEnum};
use envelope::authoring::{Curve, Issuer, Role, SignatureAlgorithm, certificates};
use jiff::Timestamp;

#[derive(Subcommand)]
pub(crate) enum Ca {
    /// Make the root: a self-signed certificate and its encrypted key.
    Init(init::Init),
    /// Make an authority of your own beneath the root, so that the root's key can stay in a safe.
    Intermediate(intermediate::Intermediate),
    /// Make a partner's authority, whose signers sign for the named products only.
    Partner(partner::Partner),
    /// Make a signer: the certificate and encrypted key that licenses are signed with.
    Signer(signer::Signer),
    /// Make a key for licenses in key format, and print its public half for your build to pin.
    Key(key::Key),
    /// Write an authority or a signer with its encrypted key into one file.
    Export(export::Export),
    /// Take in an authority or a signer from such a file.
    Import(import::Import),
    /// List authorities, signers and keys.
    List(list::List),
}

impl Ca {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        match self {
            Self::Init(command) => command.run(now),
            Self::Intermediate(command) => command.run(now),
            Self::Partner(command) => command.run(now),
            Self::Signer(command) => command.run(now),
            Self::Key(command) => command.run(now),
            Self::Export(command) => command.run(),
            Self::Import(command) => command.run(now),
            Self::List(command) => command.run(now),
        }
    }
}

/// How an authority's key signs.
#[derive(Clone, Copy, ValueEnum)]
enum AuthorityAlgorithm {
    /// ECDSA on P-256.
    Es256,
    /// ECDSA on P-384.
    Es384,
}

impl AuthorityAlgorithm {
    const fn curve(self) -> Curve {
        match self {
            Self::Es256 => Curve::P256,
            Self::Es384 => Curve::P384,
        }
    }
}

/// How a signer's key signs.
#[derive(Clone, Copy, ValueEnum)]
enum SignerAlgorithm {
    /// ECDSA on P-256.
    Es256,
    /// ECDSA on P-384.
    Es384,
    /// RSASSA-PSS with 3072 bits.
    Ps256,
    /// Ed25519.
    Eddsa,
}

impl From<SignerAlgorithm> for SignatureAlgorithm {
    fn from(algorithm: SignerAlgorithm) -> Self {
        match algorithm {
            SignerAlgorithm::Es256 => Self::Es256,
            SignerAlgorithm::Es384 => Self::Es384,
            SignerAlgorithm::Ps256 => Self::Ps256,
            SignerAlgorithm::Eddsa => Self::EdDsa,
        }
    }
}

/// Opens the authority under which something is made. One that is revoked makes nothing more.
fn open_authority(directory: &Directory, book: &Book, name: &Name, passphrase: &str) -> Result<Issuer> {
    check_unrevoked(directory, book, Shelf::Authorities, name)?;
    directory.authority(name, passphrase).with_context(|| format!("open the authority `{name}`"))
}

/// Refuses a certificate that is revoked, or beneath one that is.
pub(super) fn check_unrevoked(directory: &Directory, book: &Book, on: Shelf, name: &Name) -> Result<()> {
    for certificate in directory.certificates(on, name)? {
        if let Some((since, _)) = book.revocation(&certificate.serial) {
            bail!("use `{name}`: the certificate `{}` is revoked since {since}", certificate.subject);
        }
    }
    Ok(())
}

/// Enters a new certificate into the book, then stores it.
fn keep(
    directory: &Directory,
    book: &mut Book,
    at: Timestamp,
    (on, name, issuer): (Shelf, &Name, Option<&Name>),
    (chain, key): (&str, &str),
) -> Result<()> {
    directory.check_free(name)?;
    let certificate = certificates(chain)?.into_iter().next().context("read the new certificate")?;
    let issuer = issuer.map(Name::as_str);
    book.append(Entry::certificate(at, name.as_str(), issuer, &certificate))?;
    directory.store(on, name, chain, key)?;
    eprintln!("made the {} `{name}`, valid until {}", certificate.role.as_str(), certificate.not_after);
    println!("{name}");
    Ok(())
}

/// The authority that is named, or else the only one of these roles, or else the root.
fn choose_authority(directory: &Directory, named: Option<&Name>, roles: &[Role]) -> Result<Name> {
    let of = |roles: &[Role]| {
        directory.choose(named, Shelf::Authorities, "--under", |chain| {
            chain.first().is_some_and(|certificate| roles.contains(&certificate.role))
        })
    };
    match of(roles) {
        Err(DirectoryError::Choice { there, .. }) if there.is_empty() => Ok(of(&[Role::Root])?),
        chosen => Ok(chosen?),
    }
}
