//! Servers of Debian's packages, each with a folder and a port of its own, gone when dropped.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A password that no message may have.
pub(super) const PASSWORD: &str = "h7Qz-never-shown";

/// A server that runs.
pub(super) struct Running {
    pub(super) dir: tempfile::TempDir,
    pub(super) port: u16,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Running {
    pub(super) fn password_file(&self) -> String {
        self.dir.path().join("password").display().to_string()
    }

    pub(super) fn certificate(&self) -> String {
        self.dir.path().join("server.pem").display().to_string()
    }
}

/// Says that a test is passed over, or fails where it must not be.
pub(super) fn absent(server: &str) {
    let required = std::env::var_os("DELTA_REQUIRE_DATABASES").is_some();
    assert!(!required, "{server} is not installed");
    eprintln!("passed over: {server} is not installed");
}

fn port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Servers refuse to be root: somebody without rights where this is.
fn somebody() -> Option<u32> {
    rustix::process::geteuid().is_root().then_some(65_534)
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some(id) = somebody() {
        command.uid(id).gid(id);
    }
    command.stdin(Stdio::null());
    command.env("HOME", "/");
    command.current_dir("/");
    command
}

/// A folder that the server may use, with its password and its certificate.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    for (name, content) in [
        ("password", format!("{PASSWORD}\n")),
        ("server.pem", signed.cert.pem()),
        ("server.key", signed.signing_key.serialize_pem()),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        own(&path);
    }
    own(dir.path());
    dir
}

fn own(path: &Path) {
    if let Some(id) = somebody() {
        chown(path, Some(id), Some(id)).unwrap();
    }
}

fn run(command: &mut Command) {
    let done = command.output().unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {told}");
}

/// Runs a script in a client, as soon as the server lets it in.
#[expect(
    clippy::disallowed_methods,
    reason = "before a test begins there is nothing else to do"
)]
fn script(dir: &Path, client: &mut dyn FnMut() -> Command, sql: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let mut asked = client()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = asked.stdin.take().unwrap();
        // A client that is turned away does not read.
        drop(input.write_all(sql.as_bytes()));
        drop(input);
        let done = asked.wait_with_output().unwrap();
        if done.status.success() {
            return;
        }
        let told = String::from_utf8_lossy(&done.stderr);
        let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
        assert!(Instant::now() < until, "{told}\n{log}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn log(dir: &Path) -> Stdio {
    let path = dir.join("log");
    let file = std::fs::File::create(&path).unwrap();
    own(&path);
    file.into()
}

/// PostgreSQL with this in its database `omop`, for `delta` and its password; `None` where it is not installed.
pub(super) fn postgres(sql: &str) -> Option<Running> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut programs: Vec<PathBuf> = versions.map(|e| e.unwrap().path().join("bin")).collect();
    programs.sort();
    let programs = programs.pop().filter(|bin| bin.join("initdb").exists())?;
    let (dir, port) = (folder(), port());
    let data = dir.path().join("data");
    run(command(&programs.join("initdb"))
        .args([
            "--username=delta",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
        ])
        .args(["--locale=C", "--no-sync"])
        .arg(format!("--pwfile={}/password", dir.path().display()))
        .arg(format!("--pgdata={}", data.display())));
    let child = command(&programs.join("postgres"))
        .arg("-D")
        .arg(&data)
        .arg("-k")
        .arg(dir.path())
        .args(["-p", &port.to_string(), "-c", "fsync=off", "-c", "ssl=on"])
        .args([
            "-c",
            "listen_addresses=localhost",
            "-c",
            "timezone=Europe/Berlin",
        ])
        .args(["-c", "datestyle=SQL, DMY"])
        .args([
            "-c",
            &format!("ssl_cert_file={}/server.pem", dir.path().display()),
        ])
        .args([
            "-c",
            &format!("ssl_key_file={}/server.key", dir.path().display()),
        ])
        .stderr(log(dir.path()))
        .spawn()
        .unwrap();
    let running = Running { dir, port, child };
    let mut client = || {
        let mut psql = command(&programs.join("psql"));
        psql.env("PGPASSWORD", PASSWORD)
            .args([
                "-v",
                "ON_ERROR_STOP=1",
                "-q",
                "-U",
                "delta",
                "-h",
                "localhost",
            ])
            .args(["-p", &port.to_string(), "postgres"]);
        psql
    };
    let sql = format!("CREATE DATABASE omop;\n\\c omop\n{sql}");
    script(running.dir.path(), &mut client, &sql);
    Some(running)
}

/// MariaDB with this in its database `omop`, for `delta` and its password; `None` where it is not installed.
pub(super) fn mariadb(sql: &str) -> Option<Running> {
    let find = |name: &str| {
        let places = ["/usr/sbin", "/usr/bin", "/usr/local/bin"];
        let mut paths = places.iter().map(|place| Path::new(place).join(name));
        paths.find(|path| path.exists())
    };
    let (server, install, client) = (
        find("mariadbd")?,
        find("mariadb-install-db")?,
        find("mariadb")?,
    );
    let (dir, port) = (folder(), port());
    let data = format!("--datadir={}/data", dir.path().display());
    let socket = format!("--socket={}/socket", dir.path().display());
    run(command(&install)
        .args(["--no-defaults", "--auth-root-authentication-method=normal"])
        .args(["--skip-test-db", &data]));
    let child = command(&server)
        .args(["--no-defaults", &data, &socket, "--bind-address=127.0.0.1"])
        .args([&format!("--port={port}"), "--default-time-zone=+05:00"])
        .arg("--skip-name-resolve=OFF")
        .arg(format!("--pid-file={}/pid", dir.path().display()))
        .arg(format!("--ssl-cert={}/server.pem", dir.path().display()))
        .arg(format!("--ssl-key={}/server.key", dir.path().display()))
        .stderr(log(dir.path()))
        .spawn()
        .unwrap();
    let running = Running { dir, port, child };
    let mut client = || {
        let mut mariadb = command(&client);
        mariadb.args([
            "--no-defaults",
            &socket,
            "--user=root",
            "--default-character-set=utf8mb4",
        ]);
        mariadb
    };
    let sql = format!(
        "DROP DATABASE IF EXISTS omop; CREATE DATABASE omop CHARACTER SET utf8mb4; USE omop;
         CREATE OR REPLACE USER delta@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON omop.* TO delta@'%';
         CREATE OR REPLACE USER delta@localhost IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON omop.* TO delta@localhost;
         {sql}"
    );
    script(running.dir.path(), &mut client, &sql);
    Some(running)
}
