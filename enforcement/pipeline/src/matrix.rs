use descriptors::{
    catalog::{Catalog, Product},
    coverage::{CoveragePolicy, columns},
    denial::Reason,
    descriptor::{DeploymentShape, QuotaKind},
    grant::{Ceiling, Grant},
};
use kernel::Registry;
use resolver::{Baseline, Described, Ground, Verdict, decide};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::described;

/// Command by edition: what a purchase of each edition, and of nothing else, would allow. Decided by the resolver, for a
/// tenant that inherits the whole license, in a deployment that states no shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Matrix {
    /// The editions, as `{product}/{edition}`: products by id, editions from small to large.
    pub editions: Vec<String>,
    /// A row for each command, by id.
    pub commands: Vec<MatrixRow>,
}

/// One command under every edition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatrixRow {
    /// The command.
    pub command: String,
    /// A cell for each edition, in the order of the editions.
    pub cells: Vec<MatrixCell>,
}

/// One command under one edition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatrixCell {
    /// `ALLOWED`, `EXEMPT` or `DENIED`.
    pub verdict: String,
    /// Why it would be denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The limits an allowed call counts against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<MatrixLimit>,
}

/// A limit that an edition sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatrixLimit {
    /// The quota.
    pub quota: String,
    /// Units per window, or things that may exist at once.
    pub limit: u64,
    /// The window of a metered quota, as an ISO-8601 period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
}

/// What each edition would allow. Needs no server, no database and no license.
pub fn matrix(registry: &Registry, catalog: &Catalog, policy: &CoveragePolicy) -> Matrix {
    let shape = DeploymentShape::stating([]);
    let edition = |product: &Product, edition: &str| {
        let grant = catalog.expand(&product.id, edition).expect("an edition of the catalog");
        (format!("{}/{edition}", product.id), grant)
    };
    let sold: Vec<(String, Grant)> = catalog
        .products()
        .flat_map(|product| product.editions.iter().map(move |it| edition(product, &it.id)))
        .collect();
    let commands = registry.entries().map(|(_, entry)| {
        let (id, described) = (entry.id().as_str(), described(entry));
        let cell = |(_, grant): &(String, Grant)| {
            let ground = Ground {
                shape: &shape,
                policy,
                ceiling: Ceiling::Granted(grant),
                baseline: Baseline::WholeCeiling,
                catalog,
            };
            cell(decide(&ground.ask(id, described, None)).verdict, described, grant, catalog)
        };
        MatrixRow { command: id.to_owned(), cells: sold.iter().map(cell).collect() }
    });
    let commands = commands.collect();
    Matrix { editions: sold.into_iter().map(|(name, _)| name).collect(), commands }
}

fn cell(verdict: Verdict, described: Described<'_>, grant: &Grant, catalog: &Catalog) -> MatrixCell {
    let (verdict, reason) = match verdict {
        Verdict::Allowed => ("ALLOWED", None),
        Verdict::Exempt(_) => ("EXEMPT", None),
        Verdict::Denied(reason) => ("DENIED", Some(reason)),
    };
    let quotas = match described {
        Described::By(descriptor) if verdict == "ALLOWED" => descriptor.quotas(),
        _ => &[],
    };
    let limit = |quota: &descriptors::descriptor::Quota<'_>| MatrixLimit {
        quota: quota.key.to_string(),
        limit: grant.limit(quota.key),
        window: catalog
            .quota(quota.key)
            .filter(|defined| defined.kind == QuotaKind::Metered)
            .and_then(|defined| defined.window.map(|window| window.to_string())),
    };
    MatrixCell { verdict: verdict.to_owned(), reason, limits: quotas.iter().map(limit).collect() }
}

impl Matrix {
    /// A table for people: `yes` with its limits, `no`, `always` where no license is asked, and the reason where no
    /// edition would help.
    pub fn to_table(&self) -> String {
        let rows = self.commands.iter().map(|row| {
            let cells = row.cells.iter().map(MatrixCell::text);
            std::iter::once(row.command.clone()).chain(cells).collect()
        });
        let head = std::iter::once("COMMAND".to_owned()).chain(self.editions.iter().cloned()).collect();
        columns(&std::iter::once(head).chain(rows).collect::<Vec<Vec<_>>>())
    }

    /// The whole matrix as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and lists are JSON")
    }
}

impl MatrixCell {
    fn text(&self) -> String {
        match (self.verdict.as_str(), self.reason) {
            ("ALLOWED", _) => {
                let limits = self.limits.iter().map(|it| match &it.window {
                    Some(window) => format!(" {}/{window}", it.limit),
                    None => format!(" {}", it.limit),
                });
                format!("yes{}", limits.collect::<String>())
            }
            ("EXEMPT", _) => "always".to_owned(),
            (_, None | Some(Reason::CeilingExceeded)) => "no".to_owned(),
            (_, Some(reason)) => reason.to_string(),
        }
    }
}
