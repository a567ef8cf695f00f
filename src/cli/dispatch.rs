//! From parsed arguments to the function that does the work, and from its outcome to the exit code.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;

use super::args::{
    Cli, Command, IdentityCommand, LeaveArgs, MnistArgs, NodeArg, PrivacyArgs, PrivacyCommand,
    RestoreArgs, TaskCommand, TokenCommand,
};
use super::check::{self, Finding, Level};
use super::{client, commands, datasets, health, init, signals, telemetry};
use crate::assets::{IRIS, SPECTOR, Table, WAGES};
use crate::bootstrap::{self, UserClient};
use crate::config::{Config, ConfigError, ENVIRONMENT_PREFIX, Loaded, Purpose};
use crate::testbed::{attack, demo};
use delta_ports::operator_api::LogFilter;

const USAGE: u8 = 2;

/// Runs one command. Errors go to the terminal, causes included.
pub(super) fn run(cli: Cli) -> ExitCode {
    match execute(cli) {
        Ok(code) => code,
        Err(error) => {
            let code = if error.is::<ConfigError>() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::FAILURE
            };
            // The terminal may be gone; the exit code still tells.
            drop(writeln!(std::io::stderr(), "error: {error:#}"));
            code
        }
    }
}

fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    let file = cli.config;
    let exposed = match cli.command {
        // It walls itself in.
        Command::Worker => Vec::new(),
        _ => bootstrap::harden_process(),
    };
    match cli.command {
        Command::Worker => return Ok(bootstrap::worker_main()),
        Command::Init(args) => {
            let environment = environment()?;
            print(&block_on(init::init(&file, &environment, args.tls))?)?;
            let config = load(&file, Purpose::Tool)?.config;
            print(&block_on(commands::identity::made(config))?)?;
        }
        Command::Run => {
            return daemon(&file, async |config, log| {
                exposed.iter().for_each(|e| tracing::warn!("{e}"));
                commands::run::run(config, &file, log).await
            });
        }
        Command::Identity(args) => {
            let config = load(&file, Purpose::Tool)?.config;
            let command = args.command.unwrap_or(IdentityCommand::Show);
            print(&block_on(commands::identity::identity(config, command))?)?;
        }
        Command::Leave(LeaveArgs { task: None, .. }) => {
            return daemon(&file, |config, _| commands::leave::leave(config));
        }
        Command::Leave(LeaveArgs {
            task: Some(task),
            node,
        }) => with_node(&file, node, async |node| {
            commands::task::leave(&node, &task).await
        })?,
        Command::Cancel { id, node } => with_node(&file, node, async |node| {
            commands::task::cancel(&node, id).await
        })?,
        Command::Connector => {
            let loaded = load(&file, Purpose::Tool)?;
            return served(loaded, |config, _| commands::connector::connector(config));
        }
        Command::Check(args) => return findings(&file, args.json, false),
        Command::Demo(args) => block_on(demo::run(args, signals::listen))?,
        Command::Attack(args) => block_on(attack::run(args))?,
        Command::GetIris(args) => small(&file, &[IRIS], args.force)?,
        Command::GetSpector(args) => small(&file, &[SPECTOR], args.force)?,
        Command::GetWages(args) => small(&file, &[WAGES], args.force)?,
        Command::GetMnist(args) => mnist(&file, &args)?,
        Command::GetAllData(args) => {
            small(&file, &[WAGES, IRIS, SPECTOR], args.force)?;
            mnist(&file, &args)?;
        }
        Command::Task(command) => task(&file, command)?,
        Command::Token(command) => token(&file, command)?,
        Command::Approvals(command) => {
            let node = command.node().clone();
            with_node(&file, node, async |node| {
                commands::approvals::approvals(&node, command).await
            })?;
        }
        Command::Audit(command) => {
            let config = load(&file, Purpose::Tool)?.config;
            block_on(commands::audit::audit(&config, command))?;
        }
        Command::Datasets(command) => {
            let node = command.node().clone();
            with_node(&file, node, async |node| {
                commands::registrations::registrations(&node, command).await
            })?;
        }
        Command::Data(command) => {
            let config = load(&file, Purpose::Tool)?.config;
            print(&block_on(commands::data::data(&file, &config, command))?)?;
        }
        Command::Policy(command) => {
            let config = load(&file, Purpose::Tool)?.config;
            let told = block_on(commands::policy::policy(&file, &config, command))?;
            print(&told)?;
        }
        Command::Privacy(args) => privacy(&file, args)?,
        Command::Backup { folder } => {
            let config = load(&file, Purpose::Tool)?.config;
            print(&block_on(commands::backup::backup(
                &file, &config, &folder,
            ))?)?;
        }
        Command::Restore(RestoreArgs {
            folder: Some(folder),
            nothing_since,
            ..
        }) => {
            let environment = environment()?;
            let restored = commands::backup::restore(&file, &environment, &folder, nothing_since);
            print(&block_on(restored)?)?;
        }
        Command::Restore(RestoreArgs { folder: None, .. }) => {
            let config = load(&file, Purpose::Tool)?.config;
            print(&block_on(commands::backup::resume(&config))?)?;
        }
        Command::Top(args) => with_node(&file, args.node.clone(), async |node| {
            commands::top::top(&node, &args).await
        })?,
        Command::Doctor(args) => return findings(&file, args.json, true),
        Command::LogLevel { level, node } => with_node(&file, node, async |node| {
            commands::log_level::log_level(&node, level.as_deref()).await
        })?,
        Command::Verify { file } => {
            if !commands::verify::verify(&file)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Healthcheck => {
            let config = load(&file, Purpose::Tool)?.config;
            health::ask_own(&config)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A command that works in the network, with logs.
fn daemon<F>(
    file: &Path,
    command: impl FnOnce(Config, Arc<dyn LogFilter>) -> F,
) -> anyhow::Result<ExitCode>
where
    F: Future<Output = anyhow::Result<()>>,
{
    served(load(file, Purpose::Network)?, command)
}

/// Runs a command with logs; its failure is told there, which is the terminal too.
fn served<F>(
    loaded: Loaded,
    command: impl FnOnce(Config, Arc<dyn LogFilter>) -> F,
) -> anyhow::Result<ExitCode>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let (_flushed_at_the_end, log) = telemetry::init(&loaded.config.log)?;
    for warning in &loaded.warnings {
        tracing::warn!(place = %warning.place, "{}", warning.message);
    }
    match block_on(command(loaded.config, log)) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            tracing::error!("stopped: {error:#}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// What `check` finds, and with `home` what `doctor` does.
fn findings(file: &Path, json: bool, home: bool) -> anyhow::Result<ExitCode> {
    let (findings, wrong_config) = match load(file, Purpose::Network) {
        Ok(loaded) => {
            let mut findings = check::local(file, &loaded);
            findings.extend(check::doors(&loaded.config));
            findings.extend(block_on(async {
                let mut found = check::probes(&loaded.config, file).await;
                found.push(check::reach(&loaded.config).await);
                if home {
                    found.extend(commands::doctor::at_home(&loaded.config).await);
                }
                Ok(found)
            })?);
            (findings, false)
        }
        Err(error) => match error.downcast::<ConfigError>() {
            Ok(error) => (check::config_problems(&error), true),
            Err(error) => return Err(error),
        },
    };
    print(&if json {
        check::json(&findings)
    } else {
        check::lines(&findings)
    })?;
    Ok(match worst(&findings) {
        _ if wrong_config => ExitCode::from(USAGE),
        Some(Level::Fail) => ExitCode::FAILURE,
        Some(Level::Ok | Level::Warn) | None => ExitCode::SUCCESS,
    })
}

fn worst(findings: &[Finding]) -> Option<Level> {
    findings.iter().map(|finding| finding.level).max()
}

fn small(file: &Path, tables: &[Table], force: bool) -> anyhow::Result<()> {
    let config = load(file, Purpose::Tool)?.config;
    for table in tables {
        print(&datasets::put(*table, &config.data_dir, force)?)?;
    }
    Ok(())
}

fn mnist(file: &Path, args: &MnistArgs) -> anyhow::Result<()> {
    let config = load(file, Purpose::Tool)?.config;
    let options = datasets::MnistOptions {
        url: args.url.clone(),
        all: args.all,
        force: args.force,
    };
    let mut terminal = std::io::stderr();
    print(&datasets::put_mnist(
        &config.data_dir,
        &options,
        &mut terminal,
    )?)
}

fn task(file: &Path, command: TaskCommand) -> anyhow::Result<()> {
    match command {
        TaskCommand::Submit { file: bundle, node } => with_node(file, node, async |node| {
            commands::task::submit(&node, &bundle).await
        }),
        TaskCommand::Status { id, node } => with_node(file, node, async |node| {
            commands::task::status(&node, id).await
        }),
        TaskCommand::Logs { id, follow, node } => with_node(file, node, async |node| {
            commands::task::logs(&node, id, follow).await
        }),
        TaskCommand::Result { id, output, node } => with_node(file, node, async |node| {
            commands::task::result(&node, id, &output).await
        }),
        TaskCommand::Inspect { file } => commands::task::inspect(&file),
    }
}

/// Runs a command with a client of the node that the arguments name.
fn with_node(
    file: &Path,
    node: NodeArg,
    command: impl AsyncFnOnce(UserClient) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let config = if file.exists() {
        Some(load(file, Purpose::Tool)?.config)
    } else {
        None
    };
    block_on(async { command(client::of(node, config).await?).await })
}

fn token(file: &Path, command: TokenCommand) -> anyhow::Result<()> {
    let config = load(file, Purpose::Tool)?.config;
    block_on(async { commands::token::run(&config, command).await })
}

fn privacy(file: &Path, args: PrivacyArgs) -> anyhow::Result<()> {
    if let Some(PrivacyCommand::Plan(plan)) = &args.command {
        return print(&commands::privacy::plan(plan)?);
    }
    let config = load(file, Purpose::Tool)?.config;
    print(&block_on(commands::privacy::ledgers(
        file, &config, args.json,
    ))?)
}

fn load(file: &Path, purpose: Purpose) -> anyhow::Result<Loaded> {
    Ok(Config::load(file, &environment()?, purpose)?)
}

/// The variables that may override the configuration.
fn environment() -> anyhow::Result<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name
            .to_str()
            .filter(|name| name.starts_with(ENVIRONMENT_PREFIX))
        else {
            continue;
        };
        let value = value
            .to_str()
            .with_context(|| format!("the value of ${name} is not UTF-8"))?;
        variables.insert(name.to_owned(), value.to_owned());
    }
    Ok(variables)
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime does not start")?;
    runtime.block_on(work)
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end())
        .and_then(|()| out.flush())
        .context("cannot write to the terminal")
}
