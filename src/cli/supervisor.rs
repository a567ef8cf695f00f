//! What a supervisor that started this process is told, systemd with `Type=notify` above all: that the node is ready, that it still is, that
//! it stops (sd_notify(3), systemd.service(5)). Without one nothing is told.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::health;
use crate::config::Config;

/// A supervisor that listens.
#[derive(Debug)]
pub(super) struct Supervisor {
    socket: Option<UnixDatagram>,
}

impl Supervisor {
    /// The one that the environment names, if it can be reached.
    pub(super) fn of_this_process() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").and_then(|name| match reach(&name) {
            Ok(socket) => Some(socket),
            Err(e) => {
                tracing::warn!("the supervisor at $NOTIFY_SOCKET cannot be told anything: {e}");
                None
            }
        });
        Self { socket }
    }

    /// Tells it something: `READY=1`, `STOPPING=1`, `WATCHDOG=1`. Never fails: nobody is to stop for it.
    pub(super) fn tell(&self, what: &str) {
        if let Some(socket) = &self.socket
            && let Err(e) = socket.send(what.as_bytes())
        {
            tracing::debug!("the supervisor was not told {what:?}: {e}");
        }
    }

    /// Tells it that the node lives, twice in each of the times in which it wants to hear of it, as long as the API answers.
    pub(super) fn keep_alive(&self, config: &Config) -> Option<AbortOnDropHandle<()>> {
        let within = watchdog(|name| std::env::var(name).ok(), std::process::id())?;
        let socket = self.socket.as_ref()?.try_clone().ok()?;
        let supervisor = Self {
            socket: Some(socket),
        };
        let config = config.clone();
        let watching = async move {
            let mut told = false;
            loop {
                tokio::time::sleep(within / 2).await;
                let config = config.clone();
                let asked = tokio::task::spawn_blocking(move || health::ask_own(&config)).await;
                match asked {
                    Ok(Ok(())) => {
                        told = false;
                        supervisor.tell("WATCHDOG=1");
                    }
                    Ok(Err(e)) if !told => {
                        told = true;
                        tracing::error!("this node does not answer itself: {e:#}");
                    }
                    _ => {}
                }
            }
        };
        Some(AbortOnDropHandle::new(tokio::spawn(watching)))
    }
}

fn reach(name: &OsString) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // A supervisor that does not listen is not waited for.
    socket.set_nonblocking(true)?;
    match name.to_str().and_then(|name| name.strip_prefix('@')) {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(Path::new(name))?,
    }
    Ok(socket)
}

/// How often the supervisor wants to hear that this process lives.
fn watchdog(variable: impl Fn(&str) -> Option<String>, own: u32) -> Option<Duration> {
    let whose = variable("WATCHDOG_PID").map(|pid| pid.parse::<u32>().ok());
    if whose.is_some_and(|pid| pid != Some(own)) {
        return None;
    }
    let micros: u64 = variable("WATCHDOG_USEC")?.parse().ok()?;
    (micros > 0).then(|| Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_is_for_the_process_that_it_names() {
        let of = |usec: Option<&str>, pid: Option<&str>| {
            let get = |name: &str| match name {
                "WATCHDOG_USEC" => usec.map(str::to_owned),
                _ => pid.map(str::to_owned),
            };
            watchdog(get, 7)
        };
        assert_eq!(of(Some("2000000"), None), Some(Duration::from_secs(2)));
        assert_eq!(of(Some("2000000"), Some("7")), Some(Duration::from_secs(2)));
        for (usec, pid) in [
            (None, None),
            (Some("0"), None),
            (Some("soon"), None),
            (Some("1"), Some("8")),
            (Some("1"), Some("x")),
        ] {
            assert_eq!(of(usec, pid), None, "{usec:?} {pid:?}");
        }
    }

    #[test]
    fn what_is_told_arrives_by_name_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("delta-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        for (socket, name) in [
            (by_path, path.into_os_string()),
            (by_name, OsString::from(format!("@{name}"))),
        ] {
            let supervisor = Supervisor {
                socket: Some(reach(&name).unwrap()),
            };
            supervisor.tell("READY=1");
            let mut got = [0; 64];
            let length = socket.recv(&mut got).unwrap();
            assert_eq!(&got[..length], b"READY=1");
        }
        assert!(reach(&OsString::from("/nowhere/at/all")).is_err());
    }
}
