use std::{fs, sync::Arc};

use audit::{MemorySink, Recorder};
use descriptors::{catalog::Catalog, grant::Grant};
use envelope::{
    Claims, PinnedKeys, Recipient,
    claims::{Binding, Party, Schema},
    development::DevelopmentAuthority,
};
use jiff::{SignedDuration, Timestamp};
use kernel::{Bus, CommandId, Cx, Guard, Input, Refusal, Registry};
use license::{RecipientKey, RunningLicense, RuntimeSettings, Site, Sources, TrustSettings};
use pipeline::{Deciding, Guards, Limits, Parts, Unobserved, column};
use quota::{MemoryOutcomes, MemoryQuota, SqlCardinality};
use serde_json::Map;
use store::{Options, Store};
use tempfile::TempDir;

use crate::{Ground, Testkit};

const INSTALLATION: &str = "testkit";
const DAYS: i64 = 30;

/// A pipeline that is running.
pub(crate) struct Bench {
    pub(crate) bus: Bus,
    pub(crate) deciding: Arc<Deciding>,
    pub(crate) license: RunningLicense,
    pub(crate) recorder: Recorder,
    pub(crate) events: MemorySink,
    _folder: TempDir,
}

impl Bench {
    pub(crate) async fn open(testkit: &Testkit) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let own = || format!("sqlite://{}", folder.path().join("test.db").display());
        let store = Store::open(&testkit.database.clone().unwrap_or_else(own), Options::default())
            .await
            .expect("a fresh database");
        let migrations = [testkit.migrations, quota::MIGRATIONS].concat();
        store.migrate(&migrations).await.expect("the module's migrations");

        let registry = Registry::linked_and((testkit.commands)()).expect("commands that fit together");
        let registry = Arc::new(registry);
        let catalog =
            testkit.catalog.clone().unwrap_or_else(|| Catalog::linked().expect("the linked catalog"));
        let license = RunningLicense::read(sources(testkit, &folder), testkit.now());
        let events = MemorySink::new();
        let in_memory = || Recorder::start(events.clone(), audit::Limits::default());
        let recorder = testkit.recorder.clone().unwrap_or_else(in_memory);
        let guards = testkit
            .guards
            .iter()
            .fold(Guards::none(), |guards, (policy, make)| guards.with(*policy, Shared(make())));
        let deciding = Deciding::new(
            Arc::clone(&registry),
            Arc::new(catalog),
            testkit.policy.clone(),
            testkit.shape.clone(),
            INSTALLATION.to_owned(),
            license.clone(),
        );
        let deciding = Arc::new(deciding.counting_in(testkit.windows.clone()));
        let ground = Ground { store: store.clone(), deciding: Arc::clone(&deciding), now: testkit.now() };
        let door = registry.open((testkit.mount)(ground).await).expect("every linked module, mounted");
        let parts = Parts {
            deciding: Arc::clone(&deciding),
            quotas: Arc::new(MemoryQuota::new()),
            cardinality: Arc::new(SqlCardinality::new(
                store.clone(),
                testkit.clock.ambient().uuid(),
                testkit.providers.clone(),
            )),
            outcomes: Arc::new(MemoryOutcomes::new()),
            recorder: recorder.clone(),
            observer: Arc::new(Unobserved),
            guards,
            limits: Limits::STANDARD,
        };
        let column = column(door, parts).expect("a column before the door");
        Self { bus: Bus::new(registry, column), deciding, license, recorder, events, _folder: folder }
    }
}

struct Shared(Arc<dyn Guard>);

impl Guard for Shared {
    fn admit(&self, cx: &Cx, command: CommandId, input: &Input) -> Result<(), Refusal> {
        self.0.admit(cx, command, input)
    }
}

/// The license that the test states, sealed and laid down as files, like any deployment's.
fn sources(testkit: &Testkit, folder: &TempDir) -> Sources {
    let file = |name: &str| folder.path().join(name);
    let mut sources = Sources {
        path: None,
        token: None,
        development: None,
        recipient: None,
        trust: TrustSettings::standard(None),
        pinned: PinnedKeys::none(),
        site: Site {
            installation: INSTALLATION.to_owned(),
            owner: None,
            public_host: None,
            production: testkit.shape.is_production(),
            sealed_only: true,
        },
        runtime: RuntimeSettings::standard(),
    };
    let Some(grant) = &testkit.grant else { return sources };
    let recipient = Recipient::generate("testkit").expect("a recipient key");
    let (root, token) = issue(grant.clone(), &recipient, testkit.now());
    fs::write(file("root.pem"), root).expect("write the root");
    fs::write(file("recipient.pem"), &*recipient.to_pem().expect("the key as PEM")).expect("write the key");
    fs::write(file("license"), token).expect("write the license");
    sources.development = Some(file("license"));
    sources.recipient = Some(RecipientKey { id: "testkit".to_owned(), path: file("recipient.pem") });
    sources.trust.root_bundle = Some(file("root.pem"));
    sources
}

fn issue(grant: Grant, recipient: &Recipient, now: Timestamp) -> (String, String) {
    let valid_for = SignedDuration::from_hours(24 * DAYS);
    let authority =
        DevelopmentAuthority::create(now, SignedDuration::from_hours(24 * 365)).expect("an authority");
    let party = |id: &str| Party { id: id.to_owned(), name: id.to_owned() };
    let claims = Claims {
        schema: Schema::V1,
        license_id: "testkit".to_owned(),
        issuer: party("vendor"),
        licensee: party("customer"),
        installation_owner: party("customer"),
        issued_at: now,
        not_before: now,
        expires_at: now + valid_for,
        grace_days: 0,
        binding: Binding { installation_id: Some(INSTALLATION.to_owned()), base_domains: Vec::new() },
        grant,
        asserted_policies: Vec::new(),
        revocation: None,
        metadata: Map::new(),
        other: Map::new(),
    };
    let root = authority.root_pem().to_owned();
    (root, authority.issue(&claims, &recipient.public()).expect("a license"))
}
