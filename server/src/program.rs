use std::process::ExitCode;

use kernel::{Line, Modules};
use sdk::Addition;
use store::{Migration, Store};

use crate::wire;

/// The standard modules, with those that are added to them: each by name, because the linker drops what nobody names.
#[derive(Debug)]
pub struct Program {
    added: Vec<Added>,
}

#[derive(Debug)]
struct Added {
    migrations: &'static [Migration],
    mount: fn(Modules, Store, Line) -> Modules,
}

impl Program {
    /// The standard modules alone.
    pub const fn standard() -> Self {
        Self { added: Vec::new() }
    }

    /// With this module too.
    #[must_use]
    pub fn with<M: Addition>(mut self) -> Self {
        let mount = |modules: Modules, store, line| modules.mount(M::new(store, line));
        self.added.push(Added { migrations: M::MIGRATIONS, mount });
        self
    }

    /// Does what the command line of this process asks for, and tells how it went.
    ///
    /// # Panics
    ///
    /// Where the operating system gives no threads.
    pub fn run(self) -> ExitCode {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.expect("the operating system gives threads").block_on(crate::answer(&self))
    }

    /// The tables of all its modules.
    pub(crate) fn migrations(&self) -> Vec<Migration> {
        let added = self.added.iter().flat_map(|added| added.migrations);
        wire::migrations().into_iter().chain(added.copied()).collect()
    }

    pub(crate) fn mount(&self, modules: Modules, store: &Store, line: &Line) -> Modules {
        self.added.iter().fold(modules, |modules, added| (added.mount)(modules, store.clone(), line.clone()))
    }
}
