//! Passwords: hashed by few threads at a time, so that signing in cannot starve the server.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version};
use sdk::prelude::*;
use tokio::sync::Semaphore;

use crate::{PasswordSettings, Secret};

/// Makes and checks hashes. Clones share their threads.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
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
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            places: Arc::new(Semaphore::new(threads + queue.min(4096))),
            turns: Arc::new(Semaphore::new(threads)),
            nobodys: nobodys.into(),
        })
    }

    pub(crate) async fn hash(&self, ambient: &Ambient, password: Secret) -> Result<String, Busy> {
        let (argon2, salt) = (self.argon2.clone(), ambient.bytes::<16>());
        self.run(move || {
            let hash = argon2.hash_password_with_salt(password.expose().as_bytes(), &salt);
            hash.expect("the parameters were checked").to_string()
        })
        .await
    }

    /// Whether the password leads to the hash. With none to compare, the same work is done.
    pub(crate) async fn check(&self, password: Secret, hash: Option<String>) -> Result<Checked, Busy> {
        let (argon2, nobodys) = (self.argon2.clone(), Arc::clone(&self.nobodys));
        self.run(move || {
            let text = hash.as_deref().unwrap_or(&nobodys);
            let Ok(parsed) = PasswordHash::new(text) else {
                return Checked { matches: false, outdated: false };
            };
            let matches = argon2.verify_password(password.expose().as_bytes(), &parsed).is_ok();
            let made = Params::try_from(&parsed).ok();
            let current = argon2.params();
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
