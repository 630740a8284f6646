//! The license and what it is verified with.

use std::{fs, path::Path};

use envelope::{Crls, Trust};
use jiff::{SignedDuration, Timestamp};
use license::{Refusal, RequestingError, Snapshot, SourceKind, Sources, State};

use super::{Finding, Found, Trouble};

/// A stage of verification: the check, what its refusals are filed under, and how to mend them.
pub(super) struct Stage {
    pub(super) check: &'static str,
    filed: &'static str,
    mend: &'static str,
}

const AGAIN: &str = "the license is damaged, or is none: take it from the vendor again, look at it with \
                     `chancery license inspect FILE`, and install it";

/// In the order in which a license is verified.
pub(super) const STAGES: &[Stage] = &[
    Stage { check: "license bounds", filed: "bounds", mend: AGAIN },
    Stage { check: "license format", filed: "format", mend: AGAIN },
    Stage { check: "license header", filed: "header", mend: AGAIN },
    Stage {
        check: "license decrypt",
        filed: "decrypt",
        mend: "set `license.recipient.private-key-path` and `license.recipient.key-id` to the key that the license was \
               asked for with, or ask again with `chancery license request`",
    },
    Stage { check: "license signature", filed: "signature", mend: AGAIN },
    Stage {
        check: "license chain",
        filed: "chain",
        mend: "put the vendor's root into the file of `license.trust.root-ca-bundle-path`",
    },
    Stage {
        check: "license policy",
        filed: "policy",
        mend: "ask the vendor for a license from a proper signer, or see `license.trust.license-signing-eku`, \
               `.required-policy-oids`, `.partner-ca-policy-oid` and `.partner-allowed-policy-oids`",
    },
    Stage {
        check: "license revocation",
        filed: "revocation",
        mend: "put the vendor's current lists into the file of `license.trust.crl-bundle-path`; if the signer was \
               revoked, ask for another license with `chancery license request`",
    },
    Stage {
        check: "license claims",
        filed: "claims",
        mend: "run a program that knows this license, or ask the vendor for one that this program knows",
    },
    Stage {
        check: "license parties",
        filed: Refusal::PARTIES,
        mend: "set `license.installation-owner` to the owner in the license, or ask the vendor for a license that states \
               its parties",
    },
    Stage {
        check: "license binding",
        filed: "binding",
        mend: "set `deployment.id` and `server.public-url` to what the license is bound to, or ask for one for this \
               installation with `chancery license request`",
    },
    Stage {
        check: "license authority",
        filed: "source",
        mend: "a development license belongs under `license.dev.path` with `license.dev.enabled`, outside production; \
               otherwise ask the vendor for a license",
    },
];

pub(super) fn clock(snapshot: &Snapshot, now: Timestamp) -> Finding<()> {
    match snapshot.state() {
        State::Blocked(state) => {
            let mend = "set the clock of this machine right, or install a license that was issued later";
            Err(Trouble::new(state.rollback().explanation(), mend))
        }
        _ => Ok(Found::that(format!("{now} (UTC)"))),
    }
}

pub(super) fn source(sources: &Sources, snapshot: &Snapshot) -> Finding<()> {
    let ask = "ask for a license with `chancery license request`, and bring it in with \
               `chancery license install FILE` or under `license.path`";
    if let State::Recovery(state) = snapshot.state() {
        let what = format!("{}; the last one stands in until {}", state.why(), state.until());
        return Err(Trouble::new(what, "put the license back where it was, or install one"));
    }
    if snapshot.held().is_some_and(|held| held.source() == SourceKind::Installed) {
        return Ok(Found::that("installed in the database"));
    }
    if let State::Invalid(state) = snapshot.state()
        && state.refusal().stage == "memory"
    {
        let mend = "install a license again with `chancery license install FILE`";
        return Err(Trouble::new(state.refusal().detail.clone(), mend));
    }
    if let State::Missing(state) = snapshot.state() {
        let what = state.detail().unwrap_or("none is configured, and none is installed");
        return Err(Trouble::new(what, ask));
    }
    let (key, path) = match (&sources.path, &sources.token, &sources.development) {
        (Some(path), _, _) => ("license.path", path),
        (None, Some(_), _) => return Ok(Found::that("`license.token`")),
        (None, None, Some(path)) => ("license.dev.path", path),
        (None, None, None) => return Ok(Found::that("installed in the database")),
    };
    match fs::File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut std::io::sink())) {
        Ok(_) => Ok(Found::that(format!("`{key}`: `{}`", path.display()))),
        Err(error) => {
            let what = format!("failed to read `{}`: {error}", path.display());
            Err(Trouble::new(what, format!("make the file of `{key}` readable for this program")))
        }
    }
}

pub(super) fn recipient_key(sources: &Sources) -> Finding<()> {
    let Some(key) = &sources.recipient else {
        let mend = "state `license.recipient.key-id` and `license.recipient.private-key-path`; \
                    `chancery license request` makes the key";
        return Err(Trouble::new("`license.recipient` is not configured", mend));
    };
    let file = key.path.display();
    let unreadable = |error: RequestingError| {
        let what = format!("{:#}", anyhow::Error::from(error));
        Trouble::new(what, "set `license.recipient.private-key-path` to a key that this program may read")
    };
    if key.read().map_err(unreadable)?.is_none() {
        let mend =
            "set `license.recipient.private-key-path` right, or let `chancery license request` make the key";
        return Err(Trouble::new(format!("there is no file `{file}`"), mend));
    }
    if key.is_shared().map_err(unreadable)? == Some(true) {
        let what = format!("others than its owner may read `{file}`");
        return Err(Trouble::new(what, format!("run `chmod 600 {file}`")));
    }
    Ok(Found::that(format!("`{}`, for its owner only", key.id)))
}

pub(super) fn root_bundle(sources: &Sources) -> Finding<()> {
    let key = "license.trust.root-ca-bundle-path";
    let Some(path) = &sources.trust.root_bundle else {
        let what = "none is configured, and without one every license is refused";
        return Err(Trouble::new(what, format!("set `{key}` to the vendor's root certificates")));
    };
    let mend = || format!("put the vendor's root certificates (PEM) into the file of `{key}`");
    let pem = read(path).map_err(|what| Trouble::new(what, mend()))?;
    Trust::from_pem(&pem).map_err(|error| Trouble::new(error.to_string(), mend()))?;
    Ok(Found::that(format!("`{}`", path.display())))
}

pub(super) fn revocation_lists(sources: &Sources, now: Timestamp) -> Finding<()> {
    let key = "license.trust.crl-bundle-path";
    let Some(path) = &sources.trust.crl_bundle else {
        return Ok(Found::that("none is configured, so none is asked"));
    };
    let mend = || format!("put the vendor's current lists (PEM) into the file of `{key}`");
    let pem = read(path).map_err(|what| Trouble::new(what, mend()))?;
    let lists = Crls::from_pem(&pem).map_err(|error| Trouble::new(error.to_string(), mend()))?;
    let Some(due) = lists.due() else { return Ok(Found::that("empty")) };
    if due <= now {
        return Err(Trouble::new(format!("a list was due to be replaced at {due}"), mend()));
    }
    let detail = format!("current until {due}");
    let soon = due.duration_since(now) < SignedDuration::from_hours(24 * 7);
    Ok(if soon { Found::but(detail) } else { Found::that(detail) })
}

pub(super) fn stage(stage: &Stage, snapshot: &Snapshot) -> Finding<()> {
    let refusal = match snapshot.state() {
        State::Invalid(refused) if refused.refusal().valid_from.is_none() => refused.refusal(),
        State::Revoked(revoked) => revoked.refusal(),
        _ => return Ok(Found::that("")),
    };
    if refusal.stage == stage.filed {
        return Err(Trouble::new(refusal.detail.clone(), stage.mend));
    }
    Ok(Found::that(""))
}

pub(super) fn validity(snapshot: &Snapshot) -> Finding<()> {
    let renew = "renew it: `chancery license request --renew`, and bring in what comes back with \
                 `chancery license install FILE`";
    match snapshot.state() {
        State::Active(state) => {
            let claims = state.held().license().claims();
            Ok(Found::that(format!("`{}`, ACTIVE until {}", claims.license_id, claims.expires_at)))
        }
        State::Grace(state) => {
            Ok(Found::but(format!("past its end, in GRACE until {}; {renew}", state.until())))
        }
        State::Expired(state) => {
            let end = state.held().license().claims().expires_at;
            Err(Trouble::new(format!("it expired at {end}"), renew))
        }
        State::Invalid(state) => {
            let mend =
                "wait until it begins, or install one that has; if it should have begun, set the clock right";
            Err(Trouble::new(state.refusal().detail.clone(), mend))
        }
        state => Err(Trouble::new(state.detail().unwrap_or_default(), renew)),
    }
}

pub(super) fn warnings(snapshot: &Snapshot, now: Timestamp) -> Found<()> {
    let warnings: Vec<_> = snapshot.warnings(now).into_iter().map(|warning| warning.message).collect();
    if warnings.is_empty() { Found::that("none") } else { Found::but(warnings.join("; ")) }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("failed to read `{}`: {error}", path.display()))
}
