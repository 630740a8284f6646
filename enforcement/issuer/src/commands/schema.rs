use anyhow::Result;
use clap::{Args, ValueEnum};
use envelope::{Claims, request::LicenseRequest};

use super::show;

#[derive(Args)]
pub(crate) struct Schema {
    /// Of which document.
    document: Kind,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// What a license says.
    License,
    /// What a deployment asks for.
    Request,
}

impl Schema {
    pub(crate) fn run(self) -> Result<()> {
        show::json(&match self.document {
            Kind::License => Claims::json_schema(),
            Kind::Request => LicenseRequest::json_schema(),
        })
    }
}
