//! The hostile corpus as inputs to begin with.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use serde_json::Value;

use crate::{
    Target,
    world::{WORLD, from_base64, inside, read},
};

/// The token of a file of the corpus.
pub(crate) fn token(name: &str) -> String {
    token_of(&read(&format!("{name}.toml"))).unwrap_or_else(|| panic!("{name} has a token"))
}

/// The tokens of all files, in the order of their paths.
pub(crate) fn tokens() -> Vec<String> {
    files("toml").iter().filter_map(|path| token_of(&text(path))).collect()
}

fn token_of(file: &str) -> Option<String> {
    let file: toml::Table = file.parse().ok()?;
    file.get("token")?.as_str().map(str::to_owned)
}

pub(crate) fn seeds(target: Target) -> Vec<Vec<u8>> {
    let tokens = tokens();
    let sealed: Vec<String> = tokens.iter().filter_map(|token| inside(token, &WORLD.recipient)).collect();
    let (mut headers, mut payloads) = (Vec::new(), Vec::new());
    for jws in sealed.iter().chain(&tokens) {
        if let [header, payload, _] = jws.split('.').collect::<Vec<_>>()[..] {
            headers.extend(Base64UrlUnpadded::decode_vec(header));
            payloads.extend(Base64UrlUnpadded::decode_vec(payload));
        }
    }
    let texts = |texts: &[String]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
    let mut seeds = match target {
        Target::Key => {
            let keys = files("pem");
            let keys =
                keys.iter().filter(|path| path.parent().is_some_and(|folder| folder.ends_with("keys")));
            let keys: Vec<_> = keys.map(|path| forge::Key::from_pem(&text(path)).public_der()).collect();
            let pinned: Value = serde_json::from_str(&read("keys/pinned.json")).expect("keys");
            let jwks = vec![pinned["key-1"].to_string().into_bytes(), public_jwk()];
            [under(b'k', texts(&tokens)), under(b'h', headers), under(b's', keys), under(b'j', jwks)].concat()
        }
        Target::Envelope => {
            let certificates: Vec<_> =
                headers.iter().filter_map(|header| first_certificate(header)).collect();
            let bundles = files("pem");
            let within = |name: &'static str| {
                bundles.iter().filter(move |path| path.parent().is_some_and(|folder| folder.ends_with(name)))
            };
            let lists: Vec<_> = within("lists").filter_map(|path| first_document(&text(path))).collect();
            let roots: Vec<_> = within("roots").map(|path| text(path).into_bytes()).collect();
            [
                under(b't', texts(&tokens)),
                under(b'i', texts(&sealed)),
                under(b'h', headers),
                under(b'x', certificates),
                under(b'l', lists),
                under(b'r', roots),
            ]
            .concat()
        }
        Target::Claims => [under(b'k', payloads.clone()), under(b'e', payloads)].concat(),
        Target::Request => crate::requests::seeds(),
        Target::Pattern => RULES.iter().map(|rule| rule.as_bytes().to_vec()).collect(),
    };
    seeds.sort();
    seeds.dedup();
    seeds
}

const RULES: &[&str] = &[
    "chancery.tenancy.tenants.create\nchancery.tenancy.tenants.create\nchancery.tenancy.tenants.delete",
    "chancery.tenancy.**\nchancery.tenancy.tenants.create\nchancery.identity.users.list",
    "*.*.*.{list,read}\nshop.cart.items.list\nshop.cart.items.add",
    "{chancery,shop}.*.**\nshop.cart.items.list\nother.cart.items.list",
    "**\na.b.c.d",
    "a-1.b2.*.*\na-1.b2.c.d",
    "chancery.*",
    "a.b.c.d.**",
    "a.**.c",
    "a.b.c.{}",
    "a.b.c.{x,}",
    "***",
    "A.b.c.d",
    "a..b.c",
    "",
];

fn under(mode: u8, inputs: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    inputs.into_iter().map(|input| [vec![mode], input].concat()).collect()
}

fn public_jwk() -> Vec<u8> {
    serde_json::to_vec(&WORLD.recipient.public()).expect("a JWK")
}

fn first_certificate(header: &[u8]) -> Option<Vec<u8>> {
    let header: Value = serde_json::from_slice(header).ok()?;
    let text = header.get("x5c")?.get(0)?.as_str()?;
    Base64::decode_vec(text).ok()
}

/// The first document of a PEM text.
fn first_document(text: &str) -> Option<Vec<u8>> {
    let body = text.split("-----").nth(2)?;
    Some(from_base64(&body.split_whitespace().collect::<String>()))
}

/// Every file with this ending, in the order of their paths.
fn files(extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hostile");
    let mut found = Vec::new();
    for theme in fs::read_dir(folder).expect("the corpus") {
        let theme = theme.expect("an entry").path();
        let entries = fs::read_dir(theme).into_iter().flatten();
        found.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    found.sort();
    found
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("a file of the corpus")
}
