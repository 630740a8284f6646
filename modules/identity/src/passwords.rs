//! Passwords: hashed by few threads at a time, so that signing in cannot starve the server.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHash, PasswordHasher, PasswordVerifier as _, Version,
    password_hash::{
        self, CustomizedPasswordHasher,
        phc::{Output, ParamsString, Salt},
    },
};
use sdk::prelude::*;
use tokio::sync::Semaphore;

use crate::{PasswordSettings, Secret};

/// The shortest password that is taken, in characters (NIST SP 800-63B, where it may be the only factor).
pub const MIN_PASSWORD_CHARACTERS: usize = 12;

/// Makes and checks hashes. Clones share their threads.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    hasher: Hasher,
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
            hasher: Hasher(params),
            places: Arc::new(Semaphore::new(threads + queue.min(4096))),
            turns: Arc::new(Semaphore::new(threads)),
            nobodys: nobodys.into(),
        })
    }

    pub(crate) async fn hash(&self, ambient: &Ambient, password: Secret) -> Result<String, Busy> {
        let (hasher, salt) = (self.hasher.clone(), ambient.bytes::<16>());
        self.run(move || {
            let hash = hasher.hash_password_with_salt(password.expose().as_bytes(), &salt);
            hash.expect("the parameters were checked").to_string()
        })
        .await
    }

    /// Whether the password leads to the hash. With none to compare, the same work is done.
    pub(crate) async fn check(&self, password: Secret, hash: Option<String>) -> Result<Checked, Busy> {
        let (hasher, nobodys) = (self.hasher.clone(), Arc::clone(&self.nobodys));
        self.run(move || {
            let text = hash.as_deref().unwrap_or(&nobodys);
            let Ok(parsed) = PasswordHash::new(text) else {
                return Checked { matches: false, outdated: false };
            };
            let matches = hasher.verify_password(password.expose().as_bytes(), &parsed).is_ok();
            let made = Params::try_from(&parsed).ok();
            let current = &hasher.0;
            let outdated = made.is_none_or(|made| {
                (made.m_cost(), made.t_cost(), made.p_cost())
                    != (current.m_cost(), current.t_cost(), current.p_cost())
            });
            Checked { matches: matches && hash.is_some(), outdated }
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

/// Argon2id with these parameters, in memory that goes back to the system afterwards.
#[derive(Clone, Debug)]
struct Hasher(Params);

impl Hasher {
    /// What is larger than this is never kept for later by the allocator of the C library. A hash of OWASP's parameters is
    /// smaller, so that one sign-in would make the server larger for ever. What is not touched of it takes no memory.
    const RETURNED: usize = 33 << 20;

    fn blocks(params: &Params) -> Vec<Block> {
        let mut blocks = Vec::with_capacity(params.block_count().max(Self::RETURNED / Block::SIZE));
        blocks.resize(params.block_count(), Block::new());
        blocks
    }
}

impl CustomizedPasswordHasher<PasswordHash> for Hasher {
    type Params = Params;

    fn hash_password_customized(
        &self,
        password: &[u8],
        salt: &[u8],
        algorithm: Option<&str>,
        version: Option<u32>,
        params: Params,
    ) -> password_hash::Result<PasswordHash> {
        let algorithm = algorithm.map_or(Ok(Algorithm::Argon2id), Algorithm::try_from)?;
        let version = version.map_or(Ok(Version::V0x13), Version::try_from)?;
        let salt = Salt::new(salt)?;
        let mut buffer = [0; Output::MAX_LENGTH];
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let hash = buffer.get_mut(..length).ok_or(password_hash::Error::OutputSize)?;
        let (described, blocks) = (ParamsString::try_from(&params)?, Self::blocks(&params));
        Argon2::new(algorithm, version, params)
            .hash_password_into_with_memory(password, &salt, hash, blocks)?;
        Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: described,
            salt: Some(salt),
            hash: Some(Output::new(hash)?),
        })
    }
}

impl PasswordHasher<PasswordHash> for Hasher {
    fn hash_password_with_salt(&self, password: &[u8], salt: &[u8]) -> password_hash::Result<PasswordHash> {
        self.hash_password_customized(password, salt, None, None, self.0.clone())
    }
}

/// Why a password is not taken; nothing, where it is.
pub(crate) fn objection(password: &Secret, name: &str, email: Option<&str>) -> Option<&'static str> {
    let text = password.expose();
    if text.chars().count() < MIN_PASSWORD_CHARACTERS {
        return Some("a password has at least 12 characters");
    }
    let alike = |other: &str| other.to_lowercase() == text.to_lowercase();
    if alike(name) || email.is_some_and(alike) {
        return Some("a password is not one's name or address");
    }
    let first = text.chars().next();
    if text.chars().all(|letter| Some(letter) == first) {
        return Some("a password is not one character over and over");
    }
    None
}

#[cfg(test)]
mod tests {
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
        let ours = Hasher(params).hash_password_with_salt(b"correct horse", b"sixteen bytes it").unwrap();
        assert_eq!(ours.to_string(), theirs.to_string());
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

    #[test]
    fn a_password_is_long_and_not_the_name() {
        let objects = |text: &str| objection(&text.into(), "ada.lovelace@example.com", Some("x")).is_some();
        assert!(objects("short"));
        assert!(objects("Ada.Lovelace@example.com"));
        assert!(objects("aaaaaaaaaaaaaaaa"));
        assert!(!objects("correct horse battery staple"));
        assert!(!objects("пароль из слов"));
    }
}
