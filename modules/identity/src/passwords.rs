//! Passwords: hashed by few threads at a time, so that signing in cannot starve the server.

use std::sync::Arc;

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, PasswordHash, Version,
    password_hash::phc::{Output, ParamsString, Salt},
};
use sdk::prelude::*;
use tokio::sync::Semaphore;

use crate::{PasswordSettings, Secret};

/// Makes and checks hashes. Clones share their threads.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    params: Params,
    /// For those who hash, and those who wait to.
    places: Arc<Semaphore>,
    /// For those who hash.
    turns: Arc<Semaphore>,
    /// What is checked where there is no hash, so that it takes as long.
    nobodys: Arc<str>,
}

/// The parameters are none of Argon2's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parameters of the password hash are out of range")]
pub struct PasswordParametersError;

/// Too many hashes are being made.
pub(crate) struct Busy;

/// What a check found.
pub(crate) struct Checked {
    pub(crate) matches: bool,
    /// The hash is of other parameters than are made now.
    pub(crate) outdated: bool,
}

impl Passwords {
    pub(crate) fn of(settings: PasswordSettings) -> Result<Self, PasswordParametersError> {
        let PasswordSettings { memory_kib, iterations, parallelism, threads, queue } = settings;
        let params =
            Params::new(memory_kib, iterations, parallelism, None).map_err(|_| PasswordParametersError)?;
        let threads = threads.clamp(1, 64);
        // No password leads to it: a hash of zeros is as rare as any other.
        let nobodys = format!(
            "$argon2id$v=19$m={memory_kib},t={iterations},p={parallelism}${}${}",
            "A".repeat(22),
            "A".repeat(43)
        );
        Ok(Self {
            params,
            places: Arc::new(Semaphore::new(threads + queue.min(4096))),
            turns: Arc::new(Semaphore::new(threads)),
            nobodys: nobodys.into(),
        })
    }

    pub(crate) async fn hash(&self, ambient: &Ambient, password: Secret) -> Result<String, Busy> {
        let (params, salt) = (self.params.clone(), ambient.bytes::<16>());
        self.run(move || made(params, &password, &salt).expect("the parameters were checked")).await
    }

    /// Whether the password leads to the hash. With none to compare, the same work is done.
    pub(crate) async fn check(&self, password: Secret, hash: Option<String>) -> Result<Checked, Busy> {
        let (current, nobodys) = (self.params.clone(), Arc::clone(&self.nobodys));
        self.run(move || {
            let text = hash.as_deref().unwrap_or(&nobodys);
            let Some((params, matches)) = compared(text, &password) else {
                return Checked { matches: false, outdated: false };
            };
            let costs = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
            Checked { matches: matches && hash.is_some(), outdated: costs(&params) != costs(&current) }
        })
        .await
    }

    /// In its turn. Whoever does not wait for the answer any more gives up their place, and the thread ends its work.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Busy)?;
        let working = tokio::task::spawn_blocking(move || {
            let _held = (place, turn);
            work()
        });
        working.await.map_err(|_| Busy)
    }
}

/// What is larger than this is never kept for later by the allocator of the C library. A hash of OWASP's parameters is
/// smaller, so that one sign-in would make the server larger for ever. What is not touched of it takes no memory.
const RETURNED: usize = 33 << 20;

/// A hash with these parameters, as it is kept.
fn made(params: Params, password: &Secret, salt: &[u8]) -> Option<String> {
    let described = ParamsString::try_from(&params).ok()?;
    let output = output(&Argon2::new(Algorithm::Argon2id, Version::V0x13, params), password, salt)?;
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: described,
        salt: Some(Salt::new(salt).ok()?),
        hash: Some(output),
    };
    Some(hash.to_string())
}

/// The parameters of a kept hash, and whether the password leads to it; nothing, where it is none.
fn compared(kept: &str, password: &Secret) -> Option<(Params, bool)> {
    let kept = PasswordHash::new(kept).ok()?;
    let params = Params::try_from(&kept).ok()?;
    let algorithm = Algorithm::try_from(kept.algorithm.as_str()).ok()?;
    let version = kept.version.map_or(Ok(Version::V0x13), Version::try_from).ok()?;
    let output = output(&Argon2::new(algorithm, version, params.clone()), password, &kept.salt?)?;
    // In constant time.
    Some((params, output == kept.hash?))
}

/// What Argon2 makes of a password, in memory that goes back to the system afterwards.
fn output(argon2: &Argon2<'_>, password: &Secret, salt: &[u8]) -> Option<Output> {
    let params = argon2.params();
    let mut blocks = Vec::with_capacity(params.block_count().max(RETURNED / Block::SIZE));
    blocks.resize(params.block_count(), Block::new());
    let mut buffer = [0; Output::MAX_LENGTH];
    let output = buffer.get_mut(..params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN))?;
    argon2.hash_password_into_with_memory(password.expose().as_bytes(), salt, output, blocks).ok()?;
    Output::new(output).ok()
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher as _;

    use super::*;

    const CHEAP: PasswordSettings =
        PasswordSettings { memory_kib: 16, iterations: 1, parallelism: 1, threads: 1, queue: 1 };

    #[tokio::test]
    async fn a_password_leads_to_its_hash_and_no_other_does() {
        let passwords = Passwords::of(CHEAP).unwrap();
        let hash = passwords.hash(&Ambient::system(), "correct horse".into()).await.ok().unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=16,t=1,p=1$"), "{hash}");
        let check = async |passwords: &Passwords, text: &str, hash: Option<&str>| {
            passwords.check(text.into(), hash.map(str::to_owned)).await.ok().unwrap()
        };
        assert!(check(&passwords, "correct horse", Some(&hash)).await.matches);
        assert!(!check(&passwords, "correct horsf", Some(&hash)).await.matches);
        assert!(!check(&passwords, "correct horse", None).await.matches);
        let dearer = Passwords::of(PasswordSettings { iterations: 2, ..CHEAP }).unwrap();
        let checked = check(&dearer, "correct horse", Some(&hash)).await;
        assert!(checked.matches && checked.outdated);
        assert!(!check(&passwords, "correct horse", Some(&hash)).await.outdated);
    }

    #[test]
    fn a_hash_is_the_one_that_argon2_makes_itself() {
        let params = Params::new(64, 2, 1, None).unwrap();
        let theirs = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let theirs = theirs.hash_password_with_salt(b"correct horse", b"sixteen bytes it").unwrap();
        let ours = made(params, &"correct horse".into(), b"sixteen bytes it").unwrap();
        assert_eq!(ours, theirs.to_string());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_finds_every_place_taken_is_turned_away_at_once() {
        let passwords = Passwords::of(CHEAP).unwrap();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let working = passwords.clone();
        let first = tokio::spawn(async move { working.run(move || released.recv()).await.is_ok() });
        while passwords.turns.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let waiting = passwords.clone();
        let second = tokio::spawn(async move { waiting.run(|| ()).await.is_ok() });
        while passwords.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(passwords.run(|| ()).await.is_err());
        drop(release);
        assert!(first.await.unwrap() && second.await.unwrap());
        assert!(passwords.run(|| ()).await.is_ok());
    }
}
