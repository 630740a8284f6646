//! `chancery doctor`: what this deployment stands on, from the ground up. It stops at the first thing that does not hold,
//! because what stands on it cannot hold either, and says how to mend that.

mod ground;
mod license;
mod outside;

use cli::{Doctor, print};
use kernel::Ambient;
use serde::Serialize;

use crate::{Program, wire};

/// Every check, in the order in which they are made.
const CHECKS: [&str; 27] = [
    "configuration",
    "secrets",
    "parts",
    "database",
    "schema",
    "clock",
    "license source",
    "recipient key",
    "root bundle",
    "revocation lists",
    "license bounds",
    "license format",
    "license header",
    "license decrypt",
    "license signature",
    "license chain",
    "license policy",
    "license revocation",
    "license claims",
    "license parties",
    "license binding",
    "license authority",
    "license validity",
    "license warnings",
    "public url",
    "listen address",
    "production",
];

/// Carries it out. `false` when something does not hold.
pub(crate) async fn run(program: &Program, args: &Doctor) -> anyhow::Result<bool> {
    let mut report = Report { ok: true, checks: Vec::new() };
    // The first that fails has ended it, and stands in the report.
    let _ = examine(program, args, &mut report).await;
    report.finish();
    if args.json {
        print::json(&report)?;
    } else {
        print::text(&report.lines())?;
    }
    Ok(report.ok)
}

async fn examine(program: &Program, args: &Doctor, report: &mut Report) -> Result<(), Stopped> {
    let (config, sources) = report.note("configuration", ground::configuration(&args.config))?;
    report.note("secrets", ground::secrets(&config))?;
    report.note("parts", ground::parts(&config))?;
    let store = report.note("database", ground::database(&config).await)?;
    let outcome = ground::schema(program, &store).await;
    report.note("schema", outcome)?;

    let now = Ambient::system().now();
    let running = wire::look_at_license(sources.clone(), Ok(&store), now).await;
    store.close().await;
    let snapshot = running.snapshot();
    report.note("clock", license::clock(&snapshot, now))?;
    report.note("license source", license::source(&sources, &snapshot))?;
    report.note("recipient key", license::recipient_key(&sources))?;
    report.note("root bundle", license::root_bundle(&sources))?;
    report.note("revocation lists", license::revocation_lists(&sources, now))?;
    for stage in license::STAGES {
        report.note(stage.check, license::stage(stage, &snapshot))?;
    }
    report.note("license validity", license::validity(&snapshot))?;
    report.note("license warnings", Ok(license::warnings(&snapshot, now)))?;
    report.note("public url", outside::public_url(&config))?;
    report.note("listen address", outside::listen(&config).await)?;
    report.note("production", Ok(outside::production(&config)))
}

/// Something that does not hold, and how to mend it.
struct Trouble {
    what: String,
    mend: String,
}

impl Trouble {
    fn new(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), mend: mend.into() }
    }
}

/// What was found to hold.
struct Found<T> {
    value: T,
    detail: String,
    /// It holds, and somebody should still look at it.
    beware: bool,
}

impl<T> Found<T> {
    fn new(value: T, detail: impl Into<String>) -> Self {
        Self { value, detail: detail.into(), beware: false }
    }
}

impl Found<()> {
    fn that(detail: impl Into<String>) -> Self {
        Self::new((), detail)
    }

    fn but(detail: impl Into<String>) -> Self {
        Self { value: (), detail: detail.into(), beware: true }
    }
}

type Finding<T> = Result<Found<T>, Trouble>;

/// The first failing check was reached.
struct Stopped;

#[derive(Serialize)]
struct Report {
    ok: bool,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    outcome: Outcome,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Ok,
    Warning,
    Failed,
    NotLookedAt,
}

impl Report {
    fn note<T>(&mut self, name: &'static str, finding: Finding<T>) -> Result<T, Stopped> {
        match finding {
            Ok(Found { value, detail, beware }) => {
                let outcome = if beware { Outcome::Warning } else { Outcome::Ok };
                self.checks.push(Check { name, outcome, detail, mend: None });
                Ok(value)
            }
            Err(Trouble { what, mend }) => {
                self.ok = false;
                self.checks.push(Check { name, outcome: Outcome::Failed, detail: what, mend: Some(mend) });
                Err(Stopped)
            }
        }
    }

    fn finish(&mut self) {
        let made: Vec<_> = self.checks.iter().map(|check| check.name).collect();
        for name in CHECKS.into_iter().filter(|name| !made.contains(name)) {
            let detail = String::new();
            self.checks.push(Check { name, outcome: Outcome::NotLookedAt, detail, mend: None });
        }
    }

    fn lines(&self) -> String {
        let line = |check: &Check| {
            let mark = match check.outcome {
                Outcome::Ok => "ok  ",
                Outcome::Warning => "note",
                Outcome::Failed => "FAIL",
                Outcome::NotLookedAt => "-   ",
            };
            let mut line = format!("{mark} {:<19} {}", check.name, check.detail).trim_end().to_owned() + "\n";
            if let Some(mend) = &check.mend {
                line += &format!("     {:<19} to mend it: {mend}\n", "");
            }
            line
        };
        self.checks.iter().map(line).collect()
    }
}
