//! A private Postgres server, with a database for each test.
//!
//! Postgres refuses to run as root; there it runs as the user `postgres`, or `nobody`. Nothing is forced
//! through to the disk: the data outlives a kill of the server, and nothing else.
use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::certificates::Certificates;
use crate::ports::Port;
use crate::process::{self, Process, find_program};
use crate::scratch::Scratch;

/// A Postgres server, ended when dropped.
#[derive(Debug)]
pub struct Postgres {
    // Fields drop in order: the process goes before its directory.
    process: Option<Process>,
    port: Port,
    tls: bool,
    certificates: Option<Certificates>,
    account: Option<Account>,
    scratch: Scratch,
    /// Held for the next server to copy.
    template: Arc<Scratch>,
}

/// How the server is set up.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Offer TLS. Clients that do not ask for it are refused.
    pub tls: bool,
    /// More settings, as `("name", "value")`.
    pub settings: Vec<(String, String)>,
}

/// One database of a server, or one schema of one.
#[derive(Clone, Debug)]
pub struct Database {
    name: String,
    /// Where tables are made and found; `public` if not given.
    schema: Option<String>,
    address: SocketAddr,
}

/// An unprivileged user of this machine.
#[derive(Clone, Copy, Debug)]
struct Account {
    user: u32,
    group: u32,
}

impl Postgres {
    /// Starts a server without TLS.
    ///
    /// # Errors
    /// When Postgres is not installed or does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(&PostgresOptions::default())
    }

    /// Starts a server. Its superuser is `postgres` with the password `postgres`.
    ///
    /// # Errors
    /// When Postgres is not installed or does not start.
    pub fn start_with(options: &PostgresOptions) -> Result<Self> {
        let account = Account::unprivileged()?;
        let (scratch, port, template) = (Scratch::new()?, Port::take()?, template(account)?);
        let (process, certificates) = (None, None);
        let mut postgres = Self { process, port, tls: options.tls, certificates, account, scratch, template };
        postgres.prepare(options)?;
        postgres.restart()?;
        Ok(postgres)
    }

    /// Starts it again with its data on the same port; ends it first if it is running.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        self.run("database system is ready to accept connections")
    }

    fn run(&mut self, sign: &str) -> Result<()> {
        let mut command = run_as(self.account, &program("postgres")?, &self.scratch);
        command.arg("-D").arg(self.data());
        let mut process = Process::spawn("postgres", command, &self.scratch.path().join("postgres.log"))?;
        process.wait_for_log(sign, PATIENCE)?;
        self.process = Some(process);
        Ok(())
    }

    /// A copy of it as it is now, which has taken its place, as a standby does: it takes writes, on a port of its own.
    ///
    /// # Errors
    /// When this one is not running, or the copy does not start.
    pub fn promoted_copy(&self) -> Result<Self> {
        let account = Account::unprivileged()?;
        let (scratch, port) = (Scratch::new()?, Port::take()?);
        make_home(&scratch, account)?;
        let mut backup = run_as(account, &program("pg_basebackup")?, &scratch);
        backup.args(["--checkpoint=fast", "--no-sync", "--host=127.0.0.1", "--username=postgres"]);
        backup.arg("--port").arg(self.port.number().to_string()).arg("--pgdata").arg(data(&scratch));
        backup.env("PGPASSWORD", "postgres");
        process::run(backup)?;
        fs::write(data(&scratch).join("standby.signal"), "").context("cannot write standby.signal")?;
        let (process, certificates, template) = (None, None, Arc::clone(&self.template));
        let mut copy = Self { process, port, tls: false, certificates, account, scratch, template };
        fs::write(copy.data().join("postgresql.conf"), copy.settings(&PostgresOptions::default()))?;
        copy.run("database system is ready to accept read-only connections")?;
        copy.run_sql(&copy.maintenance(), "SELECT pg_promote()")?;
        Ok(copy)
    }

    /// Ends it at once; connections are refused from then on. The data is kept.
    pub fn kill(&mut self) {
        self.process = None;
        self.tidy_up();
    }

    /// A killed server leaves a file behind, whose process id may be in use again, and a segment of System V shared
    /// memory, of which a machine has no more than some thousands.
    fn tidy_up(&self) {
        let file = self.data().join("postmaster.pid");
        let Ok(text) = fs::read_to_string(&file) else { return };
        if let Some(segment) = text.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) {
            let mut command = Command::new("ipcrm");
            command.args(["--shmem-id", segment]);
            // Gone already where the server ended by itself.
            let _ = process::run(command);
        }
        let _ = fs::remove_file(file);
    }

    /// Makes it silent with connections open.
    ///
    /// # Errors
    /// When it is not running.
    pub fn pause(&self) -> Result<()> {
        self.process.as_ref().context("postgres is not running")?.pause()
    }

    /// Lets it go on after [`pause`](Self::pause).
    ///
    /// # Errors
    /// When it is not running.
    pub fn resume(&self) -> Result<()> {
        self.process.as_ref().context("postgres is not running")?.resume()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The authority to trust when it serves TLS.
    #[must_use]
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// Makes a new, empty database.
    ///
    /// # Errors
    /// When the server is not running.
    pub fn database(&self) -> Result<Database> {
        let name = unused_name();
        self.run_sql(&self.maintenance(), &format!("CREATE DATABASE {name} TEMPLATE template0"))?;
        Ok(Database { name, ..self.maintenance() })
    }

    /// Makes a new, empty schema, for tables that do not name one. That is much quicker than a database.
    ///
    /// # Errors
    /// When the server is not running.
    pub fn schema(&self) -> Result<Database> {
        let name = unused_name();
        self.run_sql(&self.maintenance(), &format!("CREATE SCHEMA {name}"))?;
        Ok(Database { schema: Some(name), ..self.maintenance() })
    }

    fn maintenance(&self) -> Database {
        Database { name: "postgres".into(), schema: None, address: self.address() }
    }

    /// Runs statements and returns the rows as unaligned text, columns divided by `|`.
    ///
    /// # Errors
    /// When a statement fails; none after it is run.
    pub fn run_sql(&self, database: &Database, statements: &str) -> Result<String> {
        let mut command = Command::new(program("psql")?);
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres"]);
        command.args(["-p", &self.port.number().to_string(), "-d", &database.name, "-c", statements]);
        command.env("PGPASSWORD", "postgres").env("PGCONNECT_TIMEOUT", "10");
        if let Some(schema) = &database.schema {
            command.env("PGOPTIONS", format!("-c search_path={schema}"));
        }
        command.env("PGSSLMODE", if self.tls { "require" } else { "disable" });
        Ok(process::run(command)?.trim_end_matches('\n').to_owned())
    }

    fn prepare(&mut self, options: &PostgresOptions) -> Result<()> {
        make_home(&self.scratch, self.account)?;
        let mut copy = run_as(self.account, Path::new("cp"), &self.scratch);
        copy.arg("-a").arg(data(&self.template)).arg(self.home());
        process::run(copy)?;
        if options.tls {
            self.certificates = Some(self.write_certificates()?);
            fs::write(self.data().join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 scram-sha-256\n")?;
        }
        let settings = self.settings(options);
        fs::write(self.data().join("postgresql.conf"), settings).context("cannot write postgresql.conf")
    }

    fn settings(&self, options: &PostgresOptions) -> String {
        let port = self.port.number().to_string();
        let mut settings = vec![
            ("listen_addresses", "127.0.0.1"),
            ("port", &port),
            ("unix_socket_directories", ""),
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("max_connections", "100"),
            ("shared_buffers", "64MB"),
            // In its folder, which goes when it does. What a killed server has in /dev/shm stays there.
            ("dynamic_shared_memory_type", "mmap"),
        ];
        let files = self
            .certificates
            .as_ref()
            .map(|files| (files.certificate.to_string_lossy().into_owned(), files.key.to_string_lossy().into_owned()));
        if let Some((certificate, key)) = &files {
            settings.extend([("ssl", "on"), ("ssl_cert_file", certificate), ("ssl_key_file", key)]);
        }
        settings.extend(options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        settings.into_iter().fold(String::new(), |text, (name, value)| text + name + " = '" + value + "'\n")
    }

    fn write_certificates(&self) -> Result<Certificates> {
        let files = Certificates::write(&self.home())?;
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600))?;
        hand_over(&files.key, self.account)?;
        hand_over(&files.certificate, self.account)?;
        Ok(files)
    }

    /// Owned by the account that the server runs as.
    fn home(&self) -> PathBuf {
        home(&self.scratch)
    }

    fn data(&self) -> PathBuf {
        data(&self.scratch)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Database {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same database behind another address, such as that of a proxy.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    /// The URL for clients, with user and password.
    #[must_use]
    pub fn url(&self) -> String {
        let options = self.schema.iter().map(|schema| format!("?options=-c%20search_path%3D{schema}"));
        format!("postgres://postgres:postgres@{}/{}{}", self.address, self.name, options.collect::<String>())
    }
}

impl Account {
    /// The account to run as, or none when we are unprivileged ourselves.
    fn unprivileged() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd")?;
        let account = ["postgres", "nobody"].iter().find_map(|name| Self::named(&accounts, name));
        account.map(Some).context("postgres does not run as root, and there is no user `postgres` or `nobody`")
    }

    fn named(accounts: &str, name: &str) -> Option<Self> {
        let mut fields = accounts.lines().map(|line| line.split(':')).find(|line| line.clone().next() == Some(name))?;
        let user = fields.nth(2)?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        Some(Self { user, group })
    }
}

/// A data directory that no server has run on. Copying it is much quicker than making another.
fn template(account: Option<Account>) -> Result<Arc<Scratch>> {
    static SHARED: Mutex<Weak<Scratch>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(template) = shared.upgrade() {
        return Ok(template);
    }
    let scratch = Scratch::new()?;
    make_home(&scratch, account)?;
    let password = home(&scratch).join("password");
    fs::write(&password, "postgres\n")?;
    hand_over(&password, account)?;
    let mut initdb = run_as(account, &program("initdb")?, &scratch);
    initdb.args(["--no-sync", "--auth=scram-sha-256", "--username=postgres", "--encoding=UTF8", "--locale=C"]);
    initdb.arg("--wal-segsize=1").arg("--pwfile").arg(&password).arg("-D").arg(data(&scratch));
    process::run(initdb)?;
    let scratch = Arc::new(scratch);
    *shared = Arc::downgrade(&scratch);
    Ok(scratch)
}

fn home(scratch: &Scratch) -> PathBuf {
    scratch.path().join("postgres")
}

fn data(scratch: &Scratch) -> PathBuf {
    home(scratch).join("data")
}

fn make_home(scratch: &Scratch, account: Option<Account>) -> Result<()> {
    fs::DirBuilder::new().mode(0o700).create(home(scratch))?;
    hand_over(&home(scratch), account)
}

fn hand_over(path: &Path, account: Option<Account>) -> Result<()> {
    let Some(account) = account else { return Ok(()) };
    chown(path, Some(account.user), Some(account.group))
        .with_context(|| format!("cannot give {} to user {}", path.display(), account.user))
}

fn run_as(account: Option<Account>, program: &Path, scratch: &Scratch) -> Command {
    let mut command = Command::new(program);
    command.current_dir(scratch.path()).env("LC_ALL", "C");
    if let Some(account) = account {
        command.uid(account.user).gid(account.group);
    }
    command
}

fn program(name: &str) -> Result<PathBuf> {
    find_program(name, &folders()).context(INSTALL)
}

fn unused_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Where Debian keeps the programs, the newest version first. On its `PATH` is no `initdb`, and a slow wrapper of `psql`.
fn folders() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = versions.map(|entry| entry.path()).collect();
    versions.sort_by_key(|path| path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse::<u32>().ok()));
    versions.into_iter().rev().map(|path| path.join("bin")).collect()
}

const PATIENCE: Duration = Duration::from_secs(30);
const INSTALL: &str = "initdb, postgres and psql are needed: apt-get install -y postgresql";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_database_is_empty_and_data_outlives_a_kill() {
        let mut postgres = Postgres::start().unwrap();
        let (one, two) = (postgres.database().unwrap(), postgres.database().unwrap());
        postgres.run_sql(&one, "CREATE TABLE t (id int); INSERT INTO t VALUES (7)").unwrap();
        assert!(postgres.run_sql(&two, "SELECT * FROM t").is_err());
        let (three, four) = (postgres.schema().unwrap(), postgres.schema().unwrap());
        postgres.run_sql(&three, "CREATE TABLE t (id int)").unwrap();
        assert!(postgres.run_sql(&four, "SELECT * FROM t").is_err());
        postgres.kill();
        assert!(postgres.run_sql(&one, "SELECT 1").is_err());
        postgres.restart().unwrap();
        assert_eq!(postgres.run_sql(&one, "SELECT id FROM t").unwrap(), "7");
    }

    #[test]
    fn a_server_with_tls_talks_nothing_else() {
        let mut postgres = Postgres::start_with(&PostgresOptions { tls: true, ..Default::default() }).unwrap();
        let database = postgres.database().unwrap();
        assert_eq!(postgres.run_sql(&database, "SHOW ssl").unwrap(), "on");
        postgres.tls = false;
        assert!(postgres.run_sql(&database, "SELECT 1").is_err());
    }
}
