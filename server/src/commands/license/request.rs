//! `chancery license request`

use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use cli::{Request, print};
use envelope::request::Wanted;
use kernel::Ambient;
use license::{MadeRequest, RequestDesk, RequestWish, Sources};

use super::catalog;
use crate::wire;

pub(super) async fn run(args: Request) -> anyhow::Result<bool> {
    let config = crate::load(&args.config)?;
    let ambient = Ambient::system();
    let sources = wire::license_sources(&config, catalog(&config)?.as_ref())?;
    if let Some(file) = &args.out {
        for file in [file, &pasteable(file)] {
            ensure!(!file.exists(), "`{}` exists already; name another file", file.display());
        }
    }
    let renews = if args.renew { Some(present(&config, &sources, &ambient).await?) } else { None };
    let wish = RequestWish {
        organization_name: args.organization,
        contacts: args.contacts.into_iter().map(|contact| contact.0).collect(),
        base_domains: args.base_domains,
        renews,
        wanted: args.product.zip(args.edition).map(|(product, edition)| Wanted { product, edition }),
    };
    let made = RequestDesk::of(&sources).make(wish, &ambient.uuid().to_string(), ambient.now())?;
    if made.key_made
        && let Some(key) = &sources.recipient
    {
        eprintln!("made the recipient key `{}`; back it up, and never send it anywhere", key.path.display());
    }
    if let Some(file) = &args.out {
        write_new(file, &format!("{}\n", made.compact))?;
        write_new(&pasteable(file), &made.armored)?;
    }
    if args.json {
        print::json(&made)?;
        return Ok(true);
    }
    let Some(file) = &args.out else {
        eprint!("{}", told(&made));
        print::text(&made.armored)?;
        return Ok(true);
    };
    let (file, pasteable) = (file.display(), pasteable(file));
    let pasteable = pasteable.display();
    print::text(&format!("{}\nsend `{file}`, or paste `{pasteable}` into a mail\n", told(&made)))?;
    Ok(true)
}

/// The id of the license that is to be renewed.
async fn present(config: &config::Config, sources: &Sources, ambient: &Ambient) -> anyhow::Result<String> {
    let store = wire::look_at_store(config).await;
    let license = wire::look_at_license(sources.clone(), store.as_ref(), ambient.now()).await;
    if let Ok(store) = store {
        store.close().await;
    }
    let snapshot = license.snapshot();
    snapshot.license_id().map(str::to_owned).context("there is no license to renew; leave `--renew` out")
}

fn told(made: &MadeRequest) -> String {
    format!(
        "request       {}\ninstallation  {}\nfingerprint   {}\nThe vendor shows the same fingerprint. Compare it over the phone before a license is made.\n",
        made.request.request_id,
        made.request.installation_id,
        print::fingerprint(&made.fingerprint),
    )
}

fn pasteable(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".txt");
    name.into()
}

fn write_new(file: &Path, text: &str) -> anyhow::Result<()> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(file)
        .and_then(|mut open| open.write_all(text.as_bytes()));
    written.with_context(|| format!("failed to write `{}`", file.display()))
}
