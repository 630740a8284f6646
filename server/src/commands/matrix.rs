//! `chancery matrix`

use cli::{Format, Matrix, print};

use crate::wire;

/// Prints it.
pub(crate) fn run(args: &Matrix) -> anyhow::Result<()> {
    let config = crate::load_if_named(&args.config)?;
    let (registry, catalog) = wire::inventory(config.as_ref())?;
    let matrix = pipeline::matrix(&registry, &catalog, &wire::coverage_policy(config.as_ref()));
    match args.format {
        Format::Table => print::text(&matrix.to_table())?,
        Format::Json => print::json(&matrix)?,
    }
    Ok(())
}
