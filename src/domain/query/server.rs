//! Where a database is, as one line.

use std::fmt;
use std::path::PathBuf;

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    MySql,
}

/// A database that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// A server, and one database of it.
    Network(NetworkServer),
    /// A SQLite file, from `/` on.
    File(PathBuf),
}

/// A database that is asked over the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkServer {
    /// Its kind.
    pub engine: Engine,
    /// A name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who asks.
    pub user: String,
    /// The database's name.
    pub name: String,
}

/// A line that names no database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Of no known kind.
    #[error("must begin with postgresql://, mysql://, mariadb:// or sqlite:///")]
    Scheme,
    /// With a secret in a file that is not one.
    #[error(
        "has a password in it, where everybody sees it: write it to a file of its own, and that file under password_file"
    )]
    Password,
    /// With more than the address.
    #[error(
        "must end with the name of the database: for what stands behind ? there are the keys tls and ca"
    )]
    Options,
    /// Without a part of it.
    #[error("must be like postgresql://USER@HOST/NAME, with letters, digits and . _ - in each")]
    Parts,
    /// With an impossible port.
    #[error("must have a port from 1 to 65535, or none")]
    Port,
    /// Not from the root on.
    #[error("must be like sqlite:///var/lib/ward.db, a path from / on")]
    Path,
}

impl Server {
    /// Reads the line.
    ///
    /// # Errors
    /// [`ServerError`]: what it lacks, or has too much.
    pub(super) fn of(line: &str) -> Result<Self, ServerError> {
        let line = line.trim();
        if let Some(path) = line.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let whole = path.starts_with('/') && path.len() > 1;
            return match whole && !path.chars().any(char::is_control) {
                true => Ok(Self::File(path.into())),
                false => Err(ServerError::Path),
            };
        }
        let (engine, usual, rest) = scheme(line).ok_or(ServerError::Scheme)?;
        if rest.contains('?') {
            return Err(ServerError::Options);
        }
        let (user, rest) = rest.rsplit_once('@').ok_or(ServerError::Parts)?;
        if user.contains(':') {
            return Err(ServerError::Password);
        }
        let (place, name) = rest.split_once('/').ok_or(ServerError::Parts)?;
        let (host, port) = host_and_port(place)?;
        let plain = |text: &str| {
            let ok = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
            !text.is_empty() && text.chars().all(ok)
        };
        let address = host.parse::<core::net::Ipv6Addr>().is_ok();
        if !plain(user) || !plain(name) || !(plain(host) || address) {
            return Err(ServerError::Parts);
        }
        Ok(Self::Network(NetworkServer {
            engine,
            host: host.to_owned(),
            port: port.unwrap_or(usual),
            user: user.to_owned(),
            name: name.to_owned(),
        }))
    }

    /// Whether the way to it leaves this machine at no point.
    #[must_use]
    pub fn is_here(&self) -> bool {
        match self {
            Self::File(_) => true,
            Self::Network(NetworkServer { host, .. }) => {
                let address: Option<core::net::IpAddr> = host.parse().ok();
                host == "localhost" || address.is_some_and(|ip| ip.is_loopback())
            }
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Network(NetworkServer {
                engine,
                host,
                port,
                name,
                ..
            }) => {
                let kind = match engine {
                    Engine::Postgres => "PostgreSQL",
                    Engine::MySql => "MySQL",
                };
                write!(f, "the {kind} database {name} at {host}:{port}")
            }
        }
    }
}

fn scheme(line: &str) -> Option<(Engine, u16, &str)> {
    let kinds = [
        ("postgresql://", Engine::Postgres, 5432),
        ("postgres://", Engine::Postgres, 5432),
        ("mysql://", Engine::MySql, 3306),
        ("mariadb://", Engine::MySql, 3306),
    ];
    kinds.into_iter().find_map(|(prefix, engine, port)| {
        let rest = line.strip_prefix(prefix)?;
        Some((engine, port, rest))
    })
}

fn host_and_port(place: &str) -> Result<(&str, Option<u16>), ServerError> {
    let (host, port) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']').ok_or(ServerError::Parts)?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(ServerError::Parts),
            }
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = port.map(|text| {
        text.parse()
            .ok()
            .filter(|n| *n > 0)
            .ok_or(ServerError::Port)
    });
    Ok((host, port.transpose()?))
}
