//! Makes the hostile corpus. Files that are there are left alone: see the README of the corpus.

mod bounds;
mod bundles;
mod chains;
mod claims;
mod encryption;
mod headers;
mod key_format;
mod policies;
mod revocation;
mod running;
mod signatures;
mod valid;
mod world;

use world::World;

fn main() {
    let world = World::new();
    world.bundles();
    world.valid();
    world.chains();
    world.policies();
    world.revocation();
    world.headers();
    world.encryption();
    world.signatures();
    world.claims();
    world.key_format();
    world.bounds();
    world.running();
}
