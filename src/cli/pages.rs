//! Man pages and shell completions, made from what may be typed: `cargo run --example pages --features pages -- FOLDER`.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use super::args::Cli;

/// Writes `man/*.1` and a file of completions for each shell into `folder`.
///
/// # Errors
/// A file cannot be written.
pub fn write(folder: &Path) -> anyhow::Result<()> {
    let man = folder.join("man");
    fs::create_dir_all(&man).with_context(|| format!("{} cannot be made", man.display()))?;
    let mut program = Cli::command();
    program.build();
    pages(&program, &man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut program, "delta-node", folder)
            .with_context(|| format!("completions for {shell} cannot be written"))?;
    }
    Ok(())
}

/// A page for a command, and for each below it.
fn pages(command: &Command, folder: &Path) -> anyhow::Result<()> {
    let page = clap_mangen::Man::new(command.clone());
    let name = page.get_filename();
    let mut text = Vec::new();
    page.render(&mut text).context("a page cannot be made")?;
    let file = folder.join(&name);
    fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
    for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        pages(below, folder)?;
    }
    Ok(())
}
