//! What one more tenant costs, and finding one, in a tree that grows to 10,000: `cargo run --release --example many`, with
//! the address of an empty database, or none for a SQLite file of its own.

use std::time::{Duration, Instant};

use chancery_tenancy::{
    MIGRATIONS, Settings, Tenancy, TenancyError, TenantCount, application_tenant,
    children::create::CreateChild,
    tenants::{create::CreateTenant, list::ListTenants},
};
use quota::{CardinalityProvider, Counted};
use sdk::{
    prelude::*,
    store::{Options, sqlx},
};

/// How often each look is made for one figure.
const LOOKS: usize = 200;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let own = format!("sqlite://{}", folder.path().join("many.db").display());
    let url = std::env::args().nth(1).unwrap_or(own);
    let store = Store::open(&url, Options::default()).await?;
    store.migrate(MIGRATIONS).await?;
    let ambient = Ambient::system();
    let application = application_tenant(&store, &ambient).await?;
    let settings = Settings {
        platform_domain: Some("tenants.example".parse()?),
        custom_domains: true,
        ..Settings::none()
    };
    let tenancy = Tenancy::new(store.clone(), application, settings);
    let cx = Cx::new(ambient, Principal::System).with_tenant(application);

    println!(
        "{:?}; microseconds, each the median of as many as there are in the step, or of {LOOKS}",
        store.engine()
    );
    println!("tenants  create  slug  host  domain  page 1  page n  count  is counted");
    let mut parents = Vec::new();
    let mut made = 0;
    for until in [1_000, 2_000, 4_000, 6_000, 8_000, 10_000] {
        let mut times = Vec::new();
        while made < until {
            // A hundred roots, a tenant of every level beneath them.
            let slug = format!("t{made}").parse()?;
            let start = now();
            let (name, description, tenant_type, source) = (None, None, None, None);
            let tenant = if made < 100 {
                tenancy
                    .handle(&cx, CreateTenant { slug, name, description, tenant_type, source, id: None })
                    .await?
            } else {
                let tenant_id = parents[made % parents.len()];
                tenancy
                    .handle(
                        &cx,
                        CreateChild { tenant_id, slug, name, description, tenant_type, source, id: None },
                    )
                    .await?
            };
            times.push(start.elapsed());
            if tenant.depth < 4 && made < 1_000 {
                parents.push(tenant.id);
            }
            made += 1;
        }
        let create = middle_of(times);
        let middle = format!("t{}", made / 2);
        let slug = middle.parse()?;
        let by_slug = median(|| async { tenancy.by_slug(&slug).await.map(drop) }).await?;
        let host = format!("{middle}.tenants.example");
        let by_host = median(|| async { tenancy.by_host(&host).await.map(drop) }).await?;
        let by_domain = median(|| async { tenancy.by_host("nobody.example").await.map(drop) }).await?;
        let page = |after| ListTenants { after, ..ListTenants::default() };
        let first = median(|| async { tenancy.handle(&cx, page(None)).await.map(drop) }).await?;
        let later =
            median(|| async { tenancy.handle(&cx, page(Some(middle.clone()))).await.map(drop) }).await?;
        let of = application.to_string();
        let count = median(|| async {
            let mut connection = store.reader().acquire().await?;
            let counted = Counted { tenant: Some(&of), subject: None };
            TenantCount::Total.count(&mut connection, counted).await?;
            Ok(())
        })
        .await?;
        let counted: i64 = sqlx::query_scalar("SELECT descendants FROM tenancy_tenant WHERE system = 1")
            .fetch_one(store.reader())
            .await?;
        let [create, by_slug, by_host, by_domain, first, later, count] =
            [create, by_slug, by_host, by_domain, first, later, count].map(|it| it.as_micros());
        println!(
            "{made:>7}  {create:>6}  {by_slug:>4}  {by_host:>4}  {by_domain:>6}  {first:>6}  {later:>6}  {count:>5}  {counted:>10}"
        );
    }
    Ok(())
}

async fn median<F: Future<Output = Result<(), TenancyError>>>(
    look: impl Fn() -> F,
) -> Result<Duration, TenancyError> {
    let mut times = Vec::new();
    for _ in 0..LOOKS {
        let start = now();
        look().await?;
        times.push(start.elapsed());
    }
    Ok(middle_of(times))
}

fn middle_of(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[expect(clippy::disallowed_methods, reason = "what is measured here is time")]
fn now() -> Instant {
    Instant::now()
}
