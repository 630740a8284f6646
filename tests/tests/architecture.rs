//! The rules of the house that no compiler holds: who may know whom, and what may be written where.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    process::Command,
    sync::LazyLock,
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId, camino::Utf8PathBuf};

use May::{Know, KnowAll, KnowAllBut};

/// Which crates of ours a crate may name in its `[dependencies]`. Its `[dev-dependencies]` are its own business.
enum May {
    Know(&'static [&'static str]),
    KnowAllBut(&'static str),
    KnowAll,
}

/// "Who may know whom" of ARCHITECTURE.md, by package name without `chancery-`. A crate that has no row may know
/// nobody. A new arrow is a decision about the house: draw it there first.
const TABLE: &[(&str, May)] = &[
    // The core.
    ("kernel", Know(&[])),
    // It commits what a call changed together with the note that the call has changed it.
    ("store", Know(&["kernel"])),
    ("secrets", Know(&[])),
    ("descriptors", Know(&[])),
    // What decides, and what remembers.
    ("audit", Know(&["store"])),
    ("quota", Know(&["store"])),
    ("resolver", Know(&["descriptors"])),
    ("envelope", Know(&["descriptors"])),
    ("license", Know(&["envelope", "descriptors", "store"])),
    ("pipeline", Know(&["kernel", "descriptors", "resolver", "license", "quota", "audit"])),
    // The vendor's side.
    ("issuer", Know(&["envelope", "descriptors"])),
    // What a module author sees.
    ("sdk-macros", Know(&[])),
    ("sdk", Know(&["kernel", "descriptors", "store", "secrets", "sdk-macros"])),
    (
        "testkit",
        Know(&["kernel", "descriptors", "store", "pipeline", "envelope", "license", "quota", "audit"]),
    ),
    // Modules know the SDK. The platform module is the face of enforcement and audit, so it sees them too.
    ("health", Know(&["sdk"])),
    ("identity", Know(&["sdk"])),
    // Whoever signs up administers the tenant: an operator, invited with the work that says it is registered.
    ("signup", Know(&["sdk", "identity"])),
    // It counts its tenants for the quotas that are sold over them.
    ("tenancy", Know(&["sdk", "quota"])),
    ("platform", Know(&["sdk", "pipeline", "resolver", "license", "quota", "audit"])),
    // Setup is the door of operators and licensing before there is anybody: their commands, their messages.
    ("setup", Know(&["sdk", "identity", "platform", "license"])),
    // The outside.
    ("config", Know(&["descriptors", "envelope", "license", "secrets"])),
    ("http", KnowAllBut("issuer")),
    // It is the mailer that modules hand their mail to; the account's password is read for each mail.
    ("mail", Know(&["kernel", "sdk", "secrets", "store"])),
    ("cli", KnowAllBut("issuer")),
    ("console", KnowAllBut("issuer")),
    ("server", KnowAllBut("issuer")),
    // Tests.
    ("test-kit", Know(&[])),
    ("test-forge", Know(&[])),
    ("test-properties", Know(&["envelope", "descriptors", "test-forge"])),
    ("acceptance", KnowAll),
    ("benches", KnowAll),
];

fn may_know(from: &str, to: &str) -> bool {
    match TABLE.iter().find(|(name, _)| *name == from) {
        Some((_, Know(named))) => named.contains(&to),
        Some((_, KnowAllBut(one))) => *one != to,
        Some((_, KnowAll)) => true,
        None => false,
    }
}

#[test]
fn every_arrow_between_crates_is_in_the_table() {
    let forbidden = arrows().filter(|(from, to)| !may_know(from, to));
    none(
        "the table gives no right to",
        forbidden.map(|(from, to)| format!("chancery-{from} -> chancery-{to}")),
    );
}

#[test]
fn a_new_crate_starts_with_no_rights() {
    assert!(!may_know("newcomer", "kernel"));
    assert!(may_know("pipeline", "kernel") && !may_know("kernel", "pipeline"));
    assert!(may_know("server", "license") && !may_know("server", "issuer"));
}

#[test]
fn every_row_of_the_table_names_a_crate() {
    let names: Vec<&str> = ours().map(short_name).collect();
    let unknown = TABLE.iter().map(|(name, _)| *name).filter(|name| !names.contains(name));
    none("no such crate", unknown.map(str::to_owned));
}

#[test]
fn the_server_reaches_no_issuer_by_any_path() {
    none("the server cannot sign a license", path("server", "chancery-issuer"));
}

#[test]
fn only_the_issuer_and_tests_can_author_licenses() {
    let enabling =
        ours().filter(|package| !["issuer", "acceptance", "benches"].contains(&short_name(package)));
    let found = enabling.flat_map(|package| {
        let asked = named(package)
            .filter(|dependency| dependency.name == "chancery-envelope")
            .flat_map(|dependency| dependency.features.clone());
        let forwarded = package.features.values().flatten().cloned();
        asked
            .chain(forwarded)
            .filter(|feature| feature.split('/').next_back() == Some("authoring"))
            .map(|feature| format!("{} enables {feature}", package.name))
    });
    none("the envelope's `authoring` is the vendor's", found);
}

#[test]
fn the_kernel_reaches_no_http_no_sql_and_no_cryptography() {
    const OUTSIDE: &[&str] = &[
        "axum",
        "http",
        "hyper",
        "reqwest", // HTTP
        "libsqlite3-sys",
        "sqlx",
        "sqlx-core", // SQL
        "josekit",
        "openssl",
        "sha2",
        "x509-cert", // cryptography
    ];
    none("the kernel stays ignorant", OUTSIDE.iter().filter_map(|name| path("kernel", name)));
}

#[test]
fn the_kernel_does_not_say_license() {
    let said = |line: &str| line.to_lowercase().contains("license");
    none("the kernel knows no licensing", under("kernel/src").flat_map(|file| file.places(said)));
}

#[test]
fn only_the_envelope_and_its_forger_name_the_crates_of_trust() {
    const TRUST: &[&str] = &["der", "josekit", "openssl", "x509-cert"];
    // TLS is the same provider, and decides nothing about licenses.
    const TLS: (&str, &str) = ("http", "openssl");
    let elsewhere = ours()
        .filter(|package| !["envelope", "test-forge"].contains(&short_name(package)))
        .flat_map(|package| {
            named(package)
                .filter(|dependency| TRUST.contains(&dependency.name.as_str()))
                .filter(|dependency| (short_name(package), dependency.name.as_str()) != TLS)
                .map(|dependency| format!("{} -> {}", package.name, dependency.name))
        });
    none("trust is decided in one crate", elsewhere);
}

/// Where the types live that grant, or that must fail closed.
const GRANTING: &[&str] = &[
    "descriptors/src",
    "enforcement/envelope/src",
    "enforcement/license/src",
    "enforcement/pipeline/src",
    "enforcement/resolver/src",
];

#[test]
fn nothing_that_grants_has_a_default() {
    let granting = GRANTING.iter().flat_map(|folder| under(folder));
    let found = granting.flat_map(|file| defaults(&file.text).map(|line| format!("{}:{line}", file.path)));
    none("what grants is constructed by name", found);
}

#[test]
fn the_search_for_defaults_sees_derives_of_any_length_and_impls() {
    let text = "#[derive(Clone, Default)]\nstruct A;\n\n#[derive(\n    Clone,\n    Default,\n)]\nstruct B;\n\
                impl<T> std::default::Default for C<T> {}\n";
    assert_eq!(defaults(text).collect::<Vec<_>>(), [1, 4, 9]);
    assert_eq!(
        defaults("#[serde(default)] let a = A::default(); // Default\nfn f<T: Default>() {}").count(),
        0
    );
}

#[test]
fn every_crate_inherits_the_lints_of_the_workspace() {
    let without = ours().filter(|package| {
        let manifest = fs::read_to_string(&package.manifest_path).expect("the manifest is there");
        !manifest.contains("\n[lints]\nworkspace = true\n")
    });
    none("there is one table of lints", without.map(|package| package.manifest_path.to_string()));
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest =
        files().iter().find(|file| file.path == "Cargo.toml").expect("the workspace has a manifest");
    let table = manifest.text.split("\n[workspace.dependencies]\n").nth(1).expect("it has the table");
    let entries = table
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter(|line| line.contains(" = ") && !line.starts_with('#') && !line.contains("path = "));
    let silent = entries.filter(|line| line.split_once(" # ").is_none_or(|(_, why)| why.trim().is_empty()));
    none("the reason stands on the line", silent.map(str::to_owned));
}

#[test]
fn no_file_names_a_folder_of_somebodys_machine() {
    let folders = ["home", "root", "work"].map(|name| format!("/{name}/"));
    let named = |line: &str| folders.iter().any(|folder| line.contains(folder));
    none("paths are the reader's own", files().iter().flat_map(|file| file.places(named)));
}

/// Fails with every finding, one to a line.
#[track_caller]
fn none(rule: &str, findings: impl IntoIterator<Item = String>) {
    let findings: Vec<String> = findings.into_iter().collect();
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

/// The workspace as cargo sees it on this machine.
fn house() -> &'static Metadata {
    static HOUSE: LazyLock<Metadata> = LazyLock::new(|| {
        let options = ["--locked", "--filter-platform", "host-tuple"].map(str::to_owned);
        MetadataCommand::new().other_options(options).exec().expect("cargo describes the workspace")
    });
    &HOUSE
}

fn ours() -> impl Iterator<Item = &'static Package> {
    house().workspace_packages().into_iter()
}

fn short_name(package: &Package) -> &str {
    package.name.strip_prefix("chancery-").expect("every crate of ours is named `chancery-…`")
}

/// What a crate is built from, as opposed to tested with.
fn named(package: &Package) -> impl Iterator<Item = &cargo_metadata::Dependency> {
    package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development)
}

/// Every dependency of a crate of ours on another, by short names.
fn arrows() -> impl Iterator<Item = (&'static str, &'static str)> {
    ours().flat_map(|package| {
        named(package)
            .filter_map(|dependency| dependency.name.strip_prefix("chancery-"))
            .map(|to| (short_name(package), to))
    })
}

/// The shortest way from a crate of ours to a package, through whatever is built for it.
fn path(from: &str, to: &str) -> Option<String> {
    let resolve = house().resolve.as_ref().expect("cargo resolves the dependencies");
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let start = ours().find(|package| short_name(package) == from).expect("the crate exists");
    let mut came_from = BTreeMap::from([(&start.id, None)]);
    let mut queue = VecDeque::from([&start.id]);
    while let Some(id) = queue.pop_front() {
        if house()[id].name == to {
            let way = std::iter::successors(Some(id), |id| came_from[id]);
            let names: Vec<&str> = way.map(|id| house()[id].name.as_str()).collect();
            return Some(names.into_iter().rev().collect::<Vec<_>>().join(" -> "));
        }
        for next in &nodes[id].deps {
            let built = next.dep_kinds.iter().any(|of| of.kind != DependencyKind::Development);
            if built && !came_from.contains_key(&next.pkg) {
                came_from.insert(&next.pkg, Some(id));
                queue.push_back(&next.pkg);
            }
        }
    }
    None
}

/// The lines on which something is given a `Default`, by derive or by hand.
fn defaults(text: &str) -> impl Iterator<Item = usize> {
    let derived = text.match_indices("#[derive(").filter(|(at, _)| {
        let list = text[*at..].split(')').next().unwrap_or_default();
        list.split(|c: char| !c.is_alphanumeric()).any(|word| word == "Default")
    });
    let written = text.match_indices("Default for ").filter(|(at, _)| {
        let line = text[..*at].rsplit('\n').next().unwrap_or_default();
        line.trim_start().starts_with("impl")
    });
    derived.chain(written).map(|(at, _)| text[..at].matches('\n').count() + 1)
}

/// A text file of the repository, by its path from the root.
struct File {
    path: Utf8PathBuf,
    text: String,
}

impl File {
    /// Every line that is so, with its place.
    fn places(&self, is_so: impl Fn(&str) -> bool) -> Vec<String> {
        let numbered = self.text.lines().enumerate().filter(|(_, line)| is_so(line));
        numbered.map(|(index, line)| format!("{}:{}: {}", self.path, index + 1, line.trim())).collect()
    }
}

/// What is committed, or would be by `git add --all`.
fn files() -> &'static [File] {
    static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
        let root = &house().workspace_root;
        let output = Command::new("git")
            // The tests may run as another user than the one who cloned.
            .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .expect("git is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let listed = String::from_utf8(output.stdout).expect("paths are UTF-8");
        listed
            .split_terminator('\0')
            .filter_map(|path| {
                Some(File { path: path.into(), text: fs::read_to_string(root.join(path)).ok()? })
            })
            .collect()
    });
    &FILES
}

fn under(folder: &str) -> impl Iterator<Item = &'static File> {
    let mut found = files().iter().filter(move |file| file.path.starts_with(folder)).peekable();
    assert!(found.peek().is_some(), "there is nothing in {folder}");
    found
}
