//! `chancery quickstart`: from nothing to a working server, in one folder.
//!
//! Each step makes what is missing and keeps what is there, so a second run continues where the first stopped.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;
use cli::client::Credentials;
use config::Config;
use descriptors::{
    catalog::Catalog,
    grant::{Grant, LicenseStatus},
};
use envelope::{
    Claims, Recipient,
    claims::{Binding, Party, Schema},
    development::{DevelopmentAuthority, MAX_DAYS},
};
use identity::{
    Credential, Delivery, DeliveryMethod, Role, Secret,
    actions::complete::CompleteAction,
    operators::create::CreateOperator,
    sessions::{create::CreateSession, delete::DeleteSession},
    tokens::create::CreateToken,
};
use jiff::{SignedDuration, Timestamp};
use kernel::{Ambient, Cx, Fault, Principal, TenantId};
use license::{LicenseProjection, RunningLicense};
use serde_json::Map;
use tenancy::{Source, Text, tenants::register::RegisterTenant};

use crate::{
    Program, serve,
    wire::{self, Assembly},
};

const OPERATOR: &str = "admin";
const DEMO: &str = "demo";
const INSTALLATION: &str = "quickstart";
const KEY_ID: &str = "quickstart-recipient";
const PRODUCT: &str = "chancery";
const EDITION: &str = "community";

/// Makes what is missing, and serves.
pub(crate) async fn run(program: &Program, args: &cli::Quickstart) -> anyhow::Result<()> {
    let ambient = Ambient::system();
    let folder = Folder::open(&args.dir)?;
    folder.write_config(args.listen)?;
    let config = Config::load(Some(&folder.config()), crate::environment())?;
    let telemetry = crate::log(&config)?;
    folder.license(&config, &ambient)?;

    let store = wire::open_store(&config).await?;
    store.migrate(&program.migrations()).await?;
    let license = wire::start_license(&config, &store, &ambient).await?;
    let assembly =
        wire::assemble(program, &config, store, license.clone(), ambient.clone(), telemetry).await?;
    let listener = tokio::net::TcpListener::bind(args.listen).await.with_context(|| {
        format!("failed to listen on {}; choose another address with `--listen`", args.listen)
    })?;
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", listener.local_addr()?);
    folder.sign_in(&assembly, &url).await?;
    let demo = demo_tenant(&assembly).await?;

    let projection = LicenseProjection::of(&license.snapshot(), ambient.now());
    let welcome = welcome(&folder, &url, &projection, demo)?;
    serve::serve(assembly, &config, listener, || {
        let _ = io::stdout().write_all(welcome.as_bytes());
        let _ = io::stdout().flush();
    })
    .await
}

/// The folder that holds everything.
struct Folder(PathBuf);

impl Folder {
    fn open(path: &Path) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("failed to make the folder `{}`", path.display()))?;
        Ok(Self(path.to_owned()))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn config(&self) -> PathBuf {
        self.file("chancery.toml")
    }

    fn credentials(&self) -> PathBuf {
        self.file("credentials.json")
    }

    /// Writes a file that only its owner can read, whole or not at all.
    fn write(&self, name: &str, content: &str) -> anyhow::Result<()> {
        let (path, partial) = (self.file(name), self.file(&format!("{name}.partial")));
        let written = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
            file.write_all(content.as_bytes())?;
            file.sync_all()?;
            fs::rename(&partial, &path)
        };
        written().with_context(|| format!("failed to write `{}`", path.display()))
    }

    fn write_config(&self, listen: SocketAddr) -> anyhow::Result<()> {
        if self.config().exists() {
            return Ok(());
        }
        let database = std::path::absolute(self.file("chancery.db"))?;
        let text = include_str!("quickstart.toml")
            .replace("{database}", &format!("sqlite://{}", database.display()))
            .replace("{listen}", &listen.to_string())
            .replace("{installation}", INSTALLATION)
            .replace("{key-id}", KEY_ID);
        self.write("chancery.toml", &text)
    }

    /// Makes sure of a license in the folder. A development license lives for a month; one that has run out is replaced.
    fn license(&self, config: &Config, ambient: &Ambient) -> anyhow::Result<()> {
        let recipient = self.recipient()?;
        if !self.file("license.jwe").exists() {
            self.issue_license(&recipient, ambient)?;
        }
        let sources = wire::license_sources(config, &wire::inventory(Some(config))?.1)?;
        let license = RunningLicense::read(sources, ambient.now());
        if license.snapshot().status() == LicenseStatus::Expired {
            self.issue_license(&recipient, ambient)?;
        }
        Ok(())
    }

    fn recipient(&self) -> anyhow::Result<Recipient> {
        let path = self.file("recipient.pem");
        if let Ok(pem) = fs::read_to_string(&path) {
            return Recipient::from_pem(KEY_ID, &pem)
                .with_context(|| format!("`{}` is not a recipient key", path.display()));
        }
        let recipient = Recipient::generate(KEY_ID)?;
        self.write("recipient.pem", &recipient.to_pem()?)?;
        Ok(recipient)
    }

    fn issue_license(&self, recipient: &Recipient, ambient: &Ambient) -> anyhow::Result<()> {
        let now = Timestamp::from_second(ambient.now().as_second())?;
        let catalog = Catalog::linked()?;
        let grant = everything_small(&catalog).context("this build does not know its own edition")?;
        let party = |id: &str, name: &str| Party { id: id.to_owned(), name: name.to_owned() };
        let claims = Claims {
            schema: Schema::V1,
            license_id: format!("dev-{}", ambient.uuid()),
            issuer: party("development", "Development authority"),
            licensee: party("evaluation", "Evaluation"),
            installation_owner: party("evaluation", "Evaluation"),
            issued_at: now,
            not_before: now,
            expires_at: now + SignedDuration::from_hours(24 * (MAX_DAYS - 1)),
            grace_days: 0,
            binding: Binding { installation_id: Some(INSTALLATION.to_owned()), base_domains: Vec::new() },
            grant,
            asserted_policies: Vec::new(),
            revocation: None,
            metadata: Map::new(),
            other: Map::new(),
        };
        // The chain outlives the license, so that a license past its end is told from one that is not trusted.
        let authority = DevelopmentAuthority::create(now, SignedDuration::from_hours(24 * 365))?;
        self.write("root.pem", authority.root_pem())?;
        self.write("license.jwe", &authority.issue(&claims, &recipient.public())?)
    }

    /// An operator, whose password and token are told in the credentials file only.
    async fn sign_in(&self, assembly: &Assembly, url: &str) -> anyhow::Result<()> {
        let credentials = match Credentials::read(&self.credentials()) {
            Ok(kept) if kept.url == url => return Ok(()),
            Ok(kept) => Credentials { url: url.to_owned(), ..kept },
            Err(_) => {
                // A name is given once, so a run that stopped before it could tell the token needs another.
                let name = format!("{OPERATOR}-{}", &assembly.ambient.uuid().simple().to_string()[20..]);
                operator(assembly, name, url).await?
            }
        };
        self.write("credentials.json", &serde_json::to_string_pretty(&credentials)?)
    }
}

/// The smallest edition of every product that this program knows.
fn everything_small(catalog: &Catalog) -> Option<Grant> {
    let mut grant = catalog.expand(PRODUCT, EDITION)?;
    let others = catalog.products().filter(|product| product.id != PRODUCT);
    let smallest = others.filter_map(|product| catalog.expand(&product.id, &product.editions.first()?.id));
    for other in smallest {
        grant.products.extend(other.products);
        grant.features.extend(other.features);
        grant.quotas.extend(other.quotas);
    }
    Some(grant)
}

/// An administrator, made as any is: invited, with a password that is set by the one-time token, and with a token for
/// scripts that is made in a session.
async fn operator(assembly: &Assembly, name: String, url: &str) -> anyhow::Result<Credentials> {
    let wanted = CreateOperator {
        name: name.clone(),
        email: None,
        display_name: None,
        role: Role::PlatformAdmin,
        home: Some(assembly.application),
        delivery_method: Some(DeliveryMethod::Manual),
    };
    let invited = assembly.bus.dispatch(system(assembly), wanted).await?;
    let password = Secret::from(hex::encode(assembly.ambient.bytes::<12>()));
    let Delivery::Manual { token, .. } = invited.activation.delivery else {
        anyhow::bail!("the operator's token was mailed, not told")
    };
    let activation = CompleteAction { token, password: password.clone() };
    assembly.bus.dispatch(system(assembly), activation).await?;
    let wanted = CreateSession { name: name.clone(), password: password.clone(), code: None };
    let session = assembly.bus.dispatch(system(assembly), wanted).await?;
    let credential = Credential::Session(session.session_token.expose());
    let known = assembly.identity.authenticate(&assembly.ambient, credential).await?;
    let cx = Cx::new(assembly.ambient.clone(), known.context("a session that has just begun is known")?)
        .with_tenant(assembly.application);
    let wanted = CreateToken { name: "quickstart".to_owned(), days: Some(365) };
    let made = assembly.bus.dispatch(cx.clone(), wanted).await?;
    assembly.bus.dispatch(cx, DeleteSession {}).await?;
    Ok(Credentials {
        url: url.to_owned(),
        operator: name,
        token: made.token.expose().to_owned(),
        password: Some(password.expose().to_owned()),
    })
}

fn system(assembly: &Assembly) -> Cx {
    Cx::new(assembly.ambient.clone(), Principal::System).with_tenant(assembly.application)
}

/// The demo tenant. Whoever has no usable license has none, and must still get a server that says why.
async fn demo_tenant(assembly: &Assembly) -> anyhow::Result<Option<TenantId>> {
    let slug = DEMO.parse()?;
    if let Some(demo) = assembly.tenancy.by_slug(&slug).await? {
        return Ok(Some(demo.id));
    }
    let name = Some(Text::try_from("Demo".to_owned())?);
    let wanted =
        RegisterTenant { tenant_id: None, slug, name, parent_tenant_id: None, source: Source::Bootstrap };
    match assembly.bus.dispatch(system(assembly), wanted).await {
        Ok(demo) => Ok(Some(demo.id)),
        Err(Fault::Failed(tenancy::TenancyError::Refused(refusal))) => {
            tracing::warn!(%refusal, "the demo tenant was not registered");
            Ok(None)
        }
        Err(fault) => Err(fault).context("failed to register the demo tenant"),
    }
}

/// What to do next, with commands that can be pasted as they are.
fn welcome(
    folder: &Folder,
    url: &str,
    license: &LicenseProjection,
    demo: Option<TenantId>,
) -> anyhow::Result<String> {
    let program = program()?;
    let credentials = folder.credentials();
    let demo = demo.map_or_else(|| "ID".to_owned(), |demo| demo.to_string());
    let invoke = |command: &str, rest: &str| {
        format!("{program} invoke {command} {rest} --credentials {}", shell(&credentials))
    };
    let license_line = match (&license.detail, license.expires_at) {
        (Some(detail), _) => format!("{}: {detail}", license.status.as_str()),
        (None, Some(end)) => {
            format!("{} development license, edition {EDITION}, until {end}", license.status.as_str())
        }
        (None, None) => license.status.as_str().to_owned(),
    };
    Ok(format!(
        "\
Chancery is serving at {url}
  console   {console}
  folder    {folder}
  sign in   with the operator, the password or the token in {credentials}
  license   {license_line}

Three commands to try, in another terminal:

  1. Allowed: register a tenant
     {allowed}

  2. Refused (402): this edition has no tenants beneath tenants
     {refused}

  3. Metered: three exports a day; run it four times, the fourth is refused (429)
     {metered}

Then look at what happened and what is not covered:

     {audit}
     {program} explain tenancy.children.create --config {config}
     {program} coverage --config {config}

Stop with Ctrl-C; the same command continues here.
",
        // Without TLS, browsers keep the session of `localhost` only.
        console = format_args!("{}/console", url.replace("127.0.0.1", "localhost")),
        folder = folder.0.display(),
        credentials = credentials.display(),
        allowed = invoke("tenancy.tenants.create", r#"'{"slug":"acme","name":"Acme"}'"#),
        refused = invoke("tenancy.children.create", &format!(r#"'{{"tenantId":"{demo}","slug":"branch"}}'"#)),
        metered = invoke("tenancy.tenants.export", &format!("--tenant {DEMO}")),
        audit = invoke("platform.audit.query", r#"'{"result":"policy-denied"}'"#),
        config = shell(&folder.config()),
    ))
}

/// This program, as it can be called from where it was called.
fn program() -> anyhow::Result<String> {
    let program = std::env::current_exe().context("failed to find this program")?;
    let here = std::env::current_dir().context("failed to find the working folder")?;
    Ok(shell(program.strip_prefix(&here).unwrap_or(&program)))
}

/// A path as one word of a shell.
fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
