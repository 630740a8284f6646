//! What a decision costs: ours, and that of three engines asked the same question. Their verdicts are compared first.
//!
//! The license has 50 allow rules and 50 deny rules; 1,000 tenants have a subscription that denies something more. The
//! peers hold the rules of the license, and of the one tenant that is asked for.

mod machine;

use std::{
    alloc::System,
    collections::BTreeMap,
    hint::black_box,
    sync::{Arc, Barrier},
    thread,
};

use casbin::{CoreApi, DefaultModel, Enforcer, MemoryAdapter, MgmtApi};
use cedar_policy::{Authorizer, Context, Entities, EntityUid, PolicySet, Request};
use chancery_benches::{Figure, Goal};
use descriptors::{
    access::Access,
    catalog::Catalog,
    coverage::CoveragePolicy,
    descriptor::{DeploymentShape, EntitlementKey, FeatureKey, LicenseDescriptor},
    grant::{Ceiling, FeatureValue, Grant, Pattern, ProductGrant},
};
use kernel::{CommandIndex, Commands, Modules, RuntimeCommand, TenantId};
use pipeline::{Deciding, Entitlements, Tables};
use resolver::{Baseline, Compiler, Described, Ground, Verdict};
use sdk::prelude::Ambient;
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use testkit::Testkit;

use machine::{clock, introduce};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SIZES: [usize; 4] = [1, 100, 2_000, 10_000];
/// Whose figures are collected.
const SHOWN: usize = 2_000;
const GROUP: &str = "decision, 2,000 commands";
const TENANTS: usize = 1_000;
const MODULES: usize = 100;

fn main() {
    introduce();
    println!(
        "Nanoseconds per decision: median of the means of batches; p99 of single decisions, clock included.\n"
    );
    println!("{:<34}{:>9}{:>9}{:>12}{:>12}{:>12}", "", "commands", "threads", "median", "p99", "allocations");
    for size in SIZES {
        decisions(size);
    }
    println!();
    rebuilding();
}

/// `{module}.{service}.{command}`: modules in turn, then services.
fn id(number: usize) -> String {
    format!("m{}.s{}.c{number}", number % MODULES, (number / MODULES + 1) % 10)
}

/// The rules of the license: every other module is allowed, but for its first service.
fn rules() -> impl Iterator<Item = (String, String)> {
    (0..MODULES).step_by(2).map(|module| (format!("m{module}."), format!("m{module}.s0.")))
}

/// What one tenant's subscription denies.
fn denied_to(tenant: usize) -> String {
    format!("m{}.", tenant * 2 % MODULES)
}

fn rule(prefix: &str) -> Pattern {
    Pattern::parse(&format!("shop.{prefix}**")).expect("a rule")
}

fn decisions(size: usize) {
    let (ours, tenants) = ours(size);
    let commands: Vec<CommandIndex> =
        (0..size).map(|number| ours.registry().find(&id(number)).expect("it")).collect();
    let names: Vec<String> = (0..size).map(id).collect();
    let asked = tenants[7];
    let verdicts: Vec<bool> =
        commands.iter().map(|command| ours.verdict(*command, Some(asked)) == Verdict::Allowed).collect();

    let cedar = Cedar::over(&names);
    let casbin = Casbin::new();
    let mut rego = Rego::new();
    for (number, name) in names.iter().enumerate() {
        assert_eq!(cedar.allows(number), verdicts[number], "cedar-policy on {name}");
        assert_eq!(casbin.allows(name), verdicts[number], "casbin on {name}");
        assert_eq!(rego.allows(name), verdicts[number], "regorus on {name}");
    }

    if size == SHOWN {
        let differing = Figure::new(GROUP, "verdicts that differ from any peer's", "verdicts", 0.0);
        differing.goal(Goal::AtMost(0.0)).tell();
    }

    let order = shuffled(size);
    let calls: Vec<_> = order.iter().enumerate().map(|(step, at)| (*at, tenants[step % TENANTS])).collect();
    let by_id = |step: usize| {
        let (at, tenant) = calls[step % ORDER];
        ours.verdict(commands[at], Some(tenant)) == Verdict::Allowed
    };
    let by_name = |step: usize| {
        let (at, tenant) = calls[step % ORDER];
        let command = ours.registry().find(&names[at]).expect("a command of this name");
        ours.verdict(command, Some(tenant)) == Verdict::Allowed
    };
    let mut base = f64::NAN;
    for threads in [1, 2] {
        let median = row("ours, by interned id", size, threads, 100, &by_id);
        if threads == 1 {
            base = median;
        }
        row("ours, by name", size, threads, 100, &by_name);
    }
    let cedar = row("cedar-policy, requests prebuilt", size, 1, 5, &|step| cedar.allows(order[step % ORDER]));
    let casbin = row("casbin", size, 1, 5, &|step| casbin.allows(&names[order[step % ORDER]]));
    let rego = std::cell::RefCell::new(rego);
    let regorus = |step: usize| rego.borrow_mut().allows(&names[order[step % ORDER]]);
    let regorus = print_row("regorus, prepared", size, 1, &mut measure(5, &regorus), allocations(&regorus));
    if size == SHOWN {
        for (name, peer) in [("cedar-policy", cedar), ("casbin", casbin), ("regorus", regorus)] {
            let times = Figure::new(GROUP, &format!("{name}, beside ours by id"), "times", peer / base);
            times.goal(Goal::AtLeast(300.0)).tell();
        }
    }
}

/// The whole decision as the gates read it, under a license that was signed, sealed and verified.
fn ours(size: usize) -> (Arc<Deciding>, Vec<TenantId>) {
    let mut testkit = Testkit::new(&[], |_| Modules::none())
        .with_catalog(Catalog::assemble([]).expect("an empty catalog"))
        .with_commands(move || (0..size).fold(Commands::none(), |all, number| all.with(command(number))));
    for (allow, deny) in rules() {
        testkit = testkit.granting(rule(&allow).as_str()).denying(rule(&deny).as_str());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let deciding = runtime.block_on(testkit.deciding());
    let ambient = Ambient::system();
    let tenants: Vec<_> = (0..TENANTS).map(|_| TenantId(ambient.uuid())).collect();
    let entitlements =
        tenants.iter().enumerate().fold(Entitlements::whole_ceiling(), |all, (number, tenant)| {
            let mut additions = Grant::nothing();
            additions.commands.deny.push(rule(&denied_to(number)));
            all.with(*tenant, Some(Arc::new(additions)))
        });
    deciding.hand_on(entitlements);
    (deciding, tenants)
}

fn command(number: usize) -> RuntimeCommand {
    let key = EntitlementKey::parse(format!("shop.{}", id(number)).leak()).expect("a key");
    RuntimeCommand::new(id(number), |_cx, value| async move { Ok(value) })
        .summary("Do as the bench says")
        .facet(Access::builder().authenticated().build())
        .facet(LicenseDescriptor::builder(key).build())
}

struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    requests: Vec<Request>,
}

impl Cedar {
    fn over(names: &[String]) -> Self {
        let uid = |kind: &str, id: &str| -> EntityUid {
            format!("{kind}::\"{id}\"").parse().expect("a name of an entity")
        };
        let mut text: String = rules()
            .map(|(allow, deny)| {
                format!(
                    "permit(principal, action in Action::\"{allow}\", resource);\n\
                     forbid(principal, action in Action::\"{deny}\", resource);\n"
                )
            })
            .collect();
        text += &format!(
            "forbid(principal == Tenant::\"7\", action in Action::\"{}\", resource);\n",
            denied_to(7)
        );
        let action = |id: &str, parents: &[&str]| {
            let parents: Vec<_> = parents.iter().map(|id| json!({ "type": "Action", "id": id })).collect();
            json!({ "uid": { "type": "Action", "id": id }, "attrs": {}, "parents": parents })
        };
        let mut actions = BTreeMap::new();
        for name in names {
            let (service, _) = name.rsplit_once('.').expect("three segments");
            let (module, _) = name.split_once('.').expect("three segments");
            let (service, module) = (format!("{service}."), format!("{module}."));
            actions.insert(name.clone(), action(name, &[&service]));
            actions.insert(service.clone(), action(&service, &[&module]));
            actions.insert(module.clone(), action(&module, &[]));
        }
        let entities = actions.into_values().collect::<Vec<_>>().into();
        let (tenant, resource) = (uid("Tenant", "7"), uid("Deployment", "1"));
        let request = |name: &String| {
            let action = uid("Action", name);
            Request::new(tenant.clone(), action, resource.clone(), Context::empty(), None).expect("a request")
        };
        Self {
            authorizer: Authorizer::new(),
            policies: text.parse().expect("policies"),
            entities: Entities::from_json_value(entities, None).expect("entities"),
            requests: names.iter().map(request).collect(),
        }
    }

    fn allows(&self, number: usize) -> bool {
        let answer = self.authorizer.is_authorized(&self.requests[number], &self.policies, &self.entities);
        answer.decision() == cedar_policy::Decision::Allow
    }
}

struct Casbin(Enforcer);

impl Casbin {
    const MODEL: &'static str = r#"
[request_definition]
r = sub, obj
[policy_definition]
p = sub, obj, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = (p.sub == "*" || r.sub == p.sub) && keyMatch(r.obj, p.obj)
"#;

    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let model = DefaultModel::from_str(Self::MODEL).await.expect("a model");
            let mut enforcer = Enforcer::new(model, MemoryAdapter::default()).await.expect("an enforcer");
            let policy = |who: &str, prefix: &str, effect: &str| {
                vec![who.to_owned(), format!("{prefix}*"), effect.to_owned()]
            };
            let mut policies = vec![policy("7", &denied_to(7), "deny")];
            for (allow, deny) in rules() {
                policies.push(policy("*", &allow, "allow"));
                policies.push(policy("*", &deny, "deny"));
            }
            enforcer.add_policies(policies).await.expect("policies");
            Self(enforcer)
        })
    }

    fn allows(&self, name: &str) -> bool {
        self.0.enforce(("7", name)).expect("a decision")
    }
}

struct Rego(regorus::Engine);

impl Rego {
    const POLICY: &'static str = "
package shop
import rego.v1
default allow := false
denied if { some p in data.deny; startswith(input.key, p) }
denied if { some p in data.tenants[input.tenant].deny; startswith(input.key, p) }
allow if { some p in data.allow; startswith(input.key, p); not denied }
";

    fn new() -> Self {
        let mut engine = regorus::Engine::new();
        engine.add_policy("shop.rego".to_owned(), Self::POLICY.to_owned()).expect("a policy");
        let (allow, deny): (Vec<_>, Vec<_>) = rules().unzip();
        let data = json!({ "allow": allow, "deny": deny, "tenants": { "7": { "deny": [denied_to(7)] } } });
        engine.add_data(regorus::Value::from_json_str(&data.to_string()).expect("data")).expect("data");
        Self(engine)
    }

    fn allows(&mut self, name: &str) -> bool {
        let input = BTreeMap::from([
            (regorus::Value::from("key"), regorus::Value::from(name)),
            (regorus::Value::from("tenant"), regorus::Value::from("7")),
        ]);
        self.0.set_input(input.into());
        self.0.eval_rule("data.shop.allow".to_owned()).expect("a decision") == regorus::Value::from(true)
    }
}

/// How many decisions are asked for before they repeat.
const ORDER: usize = 16_384;

/// Numbers below `size`, in an order that no prefetcher knows.
fn shuffled(size: usize) -> Vec<usize> {
    let mut state = 0x9e37_79b9_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0)
    };
    (0..ORDER).map(|_| next() % size).collect()
}

struct Measured {
    means: Vec<f64>,
    singles: Vec<f64>,
}

fn measure(calls: usize, decide: &dyn Fn(usize) -> bool) -> Measured {
    let batches = if calls > 10 { 2_000 } else { 100 };
    let nanoseconds = |elapsed: std::time::Duration| elapsed.as_secs_f64() * 1e9;
    let mut step = 0;
    let mut batch = || {
        let start = clock();
        for _ in 0..calls {
            black_box(decide(black_box(step)));
            step += 1;
        }
        let divisor = f64::from(u32::try_from(calls).expect("a small number"));
        nanoseconds(start.elapsed()) / divisor
    };
    for _ in 0..batches / 10 {
        batch();
    }
    let means = (0..batches).map(|_| batch()).collect();
    let singles = (0..calls * batches / 2).map(|step| {
        let start = clock();
        black_box(decide(black_box(step)));
        nanoseconds(start.elapsed())
    });
    Measured { means, singles: singles.collect() }
}

fn allocations(decide: &dyn Fn(usize) -> bool) -> usize {
    const DECISIONS: usize = 100;
    let region = Region::new(ALLOCATOR);
    for step in 0..DECISIONS {
        black_box(decide(black_box(step)));
    }
    region.change().allocations / DECISIONS
}

fn row(
    name: &str,
    size: usize,
    threads: usize,
    calls: usize,
    decide: &(dyn Fn(usize) -> bool + Sync),
) -> f64 {
    let allocations = allocations(decide);
    let start = Barrier::new(threads);
    let measured = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    measure(calls, decide)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a measurement")).collect::<Vec<_>>()
    });
    let mut all = Measured { means: Vec::new(), singles: Vec::new() };
    for one in measured {
        all.means.extend(one.means);
        all.singles.extend(one.singles);
    }
    print_row(name, size, threads, &mut all, allocations)
}

fn print_row(name: &str, size: usize, threads: usize, measured: &mut Measured, allocations: usize) -> f64 {
    let (median, p99) = (quantile(&mut measured.means, 50), quantile(&mut measured.singles, 99));
    println!("{name:<34}{size:>9}{threads:>9}{median:>12.1}{p99:>12.0}{allocations:>12}");
    if size == SHOWN && threads == 1 {
        let goal = name.contains("by interned id").then_some(Goal::AtMost(25.0));
        Figure { goal, ..Figure::median(GROUP, name, "ns", &measured.means) }.tell();
    }
    median
}

fn quantile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

/// Compiling anew after a change: 10,000 commands that require 200 features between them, 100 rules in the license, a
/// baseline that hands on no feature, and tenants whose additions all differ.
fn rebuilding() {
    const COMMANDS: usize = 10_000;
    const FEATURES: usize = 200;
    let features: Vec<&'static [FeatureKey<'static>]> = (0..FEATURES)
        .map(|number| -> &'static [FeatureKey<'static>] {
            vec![FeatureKey::parse(format!("shop.f{number}.v1").leak()).expect("a key")].leak()
        })
        .collect();
    let descriptors: Vec<&'static LicenseDescriptor> = (0..COMMANDS)
        .map(|number| -> &'static LicenseDescriptor {
            let key = EntitlementKey::parse(format!("shop.{}", id(number)).leak()).expect("a key");
            let builder = LicenseDescriptor::builder(key).features(features[number % FEATURES]);
            Box::leak(Box::new(builder.build()))
        })
        .collect();
    let catalog: String = (0..FEATURES)
        .map(|number| {
            format!("[[feature]]\nkey = 'shop.f{number}.v1'\ntype = 'BOOLEAN'\ndescription = '-'\n")
        })
        .collect();
    let catalog = Catalog::assemble([("bench", catalog.as_str())]).expect("a catalog");
    let product = || ProductGrant { edition: "any".to_owned(), modules: None };
    let mut license = Grant::nothing();
    license.products.insert("shop".to_owned(), product());
    for feature in &features {
        license.features.insert(feature[0].to_string(), FeatureValue::Boolean(true));
    }
    for (allow, deny) in rules() {
        license.commands.allow.push(rule(&allow.replace("m0.", "m1.")));
        license.commands.deny.push(rule(&deny));
    }
    let mut baseline = Grant::nothing();
    baseline.products.insert("shop".to_owned(), product());
    let ids: Vec<String> = (0..COMMANDS).map(id).collect();
    let commands = || ids.iter().map(String::as_str).zip(descriptors.iter().map(|it| Described::By(it)));
    let (shape, policy) = (DeploymentShape::stating([]), CoveragePolicy::strict());
    let ground = Ground {
        shape: &shape,
        policy: &policy,
        ceiling: Ceiling::Granted(&license),
        baseline: Baseline::Only(&baseline),
        catalog: &catalog,
    };
    println!("Compiling 10,000 commands, milliseconds: median of 11. Kilobytes that the tables take.\n");
    println!("{:<34}{:>12}{:>12}", "tenants, additions all distinct", "median", "kilobytes");
    for tenants in [0, 1, 1_000, 10_000] {
        let entitlements = (0..tenants).fold(Entitlements::baseline(baseline.clone()), |all, number| {
            all.with(TenantId(Ambient::system().uuid()), Some(Arc::new(additions(number, &features))))
        });
        let mut kilobytes = 0;
        let mut times: Vec<_> = (0..11)
            .map(|_| {
                let start = clock();
                let mut compiler = Compiler::new(commands(), ground);
                black_box(Tables::compile(&mut compiler, &entitlements));
                let elapsed = start.elapsed().as_secs_f64() * 1e3;
                kilobytes = compiler.bytes() / 1024;
                elapsed
            })
            .collect();
        println!("{tenants:<34}{:>12.1}{kilobytes:>12}", quantile(&mut times, 50));
    }
}

/// Three features, a rule that allows and a rule that denies, no two tenants alike.
fn additions(number: usize, features: &[&'static [FeatureKey<'static>]]) -> Grant {
    let mut grant = Grant::nothing();
    for offset in [0, 67, 131] {
        let feature = features[(number + offset * (number / features.len() + 1)) % features.len()][0];
        grant.features.insert(feature.to_string(), FeatureValue::Boolean(true));
    }
    let (module, service) = (number % MODULES, number / MODULES % 10);
    grant.commands.allow.push(rule(&format!("m{}.s{service}.", (module + 3) % MODULES)));
    grant.commands.deny.push(rule(&format!("m{module}.s{service}.")));
    grant
}
