//! What the command line says of itself, for shells and for `man`.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::{Context as _, Result};
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::Cli;

#[derive(Args)]
pub(crate) struct Completions {
    /// Which shell.
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "chancery-issuer", &mut script);
        io::stdout().write_all(&script).context("print the completions")
    }
}

#[derive(Args)]
pub(crate) struct Manual {
    /// The folder they go into; it is there already.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Manual {
    pub(crate) fn run(self) -> Result<()> {
        clap_mangen::generate_to(Cli::command(), &self.folder)
            .with_context(|| format!("write manual pages into `{}`", self.folder.display()))
    }
}
