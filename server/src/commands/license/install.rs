//! `chancery license install`

use std::io::{self, BufRead, IsTerminal};

use clap::{CommandFactory, error::ErrorKind};
use cli::{Cli, Install, client, print};
use platform::license::{install::InstallResult, preview::LicensePreview};
use serde_json::{Value, json};

use super::text;

/// Previews, asks, installs: all by the running server, which is the one that will run under it.
pub(super) async fn run(args: &Install) -> anyhow::Result<bool> {
    if !args.yes && !args.preview && !io::stdin().is_terminal() {
        let message = "standard input is no terminal to ask at; state `--yes` or `--preview`";
        Cli::command().error(ErrorKind::MissingRequiredArgument, message).exit();
    }
    let server = client::Server::of(&args.ask.credentials)?;
    let input = json!({ "license": text(&args.file)? });
    let Some(previewed) = server.call("platform.license.preview", &input).await? else { return Ok(false) };
    let preview: LicensePreview = serde_json::from_value(previewed.clone())?;
    if args.preview {
        if args.ask.json {
            print::json(&previewed)?;
        } else {
            print::text(&told(&preview))?;
        }
    } else {
        eprint!("{}", told(&preview));
    }
    if !preview.installable {
        eprintln!("error: it would not be installed");
        return Ok(false);
    }
    if args.preview || (!args.yes && !asked()?) {
        return Ok(args.preview);
    }
    let Some(answer) = server.call("platform.license.install", &input).await? else { return Ok(false) };
    report(&answer, args.ask.json)?;
    Ok(true)
}

fn told(preview: &LicensePreview) -> String {
    let mut text = print::license(&preview.license);
    text += &lines("replaces", &preview.overwrite_impact);
    text += &lines("beware", &preview.warnings);
    text
}

fn lines(name: &str, lines: &[String]) -> String {
    lines.iter().map(|line| format!("{name:<13} {line}\n")).collect()
}

/// Whether the operator says yes.
fn asked() -> anyhow::Result<bool> {
    eprint!("install it? [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    let yes = matches!(answer.trim(), "y" | "Y" | "yes");
    if !yes {
        eprintln!("nothing was changed");
    }
    Ok(yes)
}

fn report(answer: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        print::json(answer)?;
        return Ok(());
    }
    let installed: InstallResult = serde_json::from_value(answer.clone())?;
    eprintln!("installed");
    print::text(&print::license(&installed.license))?;
    Ok(())
}
