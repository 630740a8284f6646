//! `GET /console/coverage`: which commands licensing covers, and what flipping the mode would refuse.

use askama::Template;
use serde_json::json;

use crate::{
    answers::{Coverage, Covered},
    html::{Page, page},
    pages::home::shares,
    pictures::Shares,
    shell::{Nav, Shell},
    visitor::Operator,
};

#[derive(Template)]
#[template(path = "pages/coverage.html")]
struct CoveragePage {
    shell: Shell,
    coverage: Coverage,
}

pub(crate) async fn show(operator: Operator) -> Page {
    let coverage: Coverage = operator.call("platform.coverage.report", json!({})).await?;
    page(&CoveragePage { shell: Shell::of(&operator, "Coverage", Nav::Coverage), coverage })
}

impl CoveragePage {
    fn shares(&self) -> Shares {
        shares(&self.coverage)
    }

    fn is_denying(&self) -> bool {
        self.coverage.missing_descriptor_mode == "deny"
    }

    fn allowlisted(&self) -> Vec<&Covered> {
        self.coverage.commands.iter().filter(|command| command.verdict == "allowlisted").collect()
    }

    fn other_mode(&self) -> &'static str {
        if self.is_denying() { "warn" } else { "deny" }
    }
}
