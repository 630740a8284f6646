//! `chancery doctor`

/// Carries it out.
pub(crate) async fn run(_args: &cli::Doctor) -> anyhow::Result<bool> {
    Ok(true)
}
