//! `chancery license status`

use cli::Status;
use kernel::Ambient;
use license::LicenseProjection;

use super::{catalog, show};
use crate::wire;

pub(super) async fn run(args: &Status) -> anyhow::Result<bool> {
    let config = crate::load(&args.config)?;
    let now = Ambient::system().now();
    let sources = wire::license_sources(&config, catalog(&config)?.as_ref())?;
    let store = wire::look_at_store(&config).await;
    let license = wire::look_at_license(sources, store.as_ref(), now).await;
    if let Ok(store) = store {
        store.close().await;
    }
    show(&LicenseProjection::of(&license.snapshot(), now), args.json)
}
