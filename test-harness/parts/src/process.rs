//! Child processes that end with the run, however it ends.
//!
//! Every child leads a process group, is killed when its value is dropped, and is killed by the kernel when this process
//! is gone. Its output goes to a file, whose end is shown when a test fails.
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, kill_process_group, setrlimit};

/// A running child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, with nothing on standard input and all output in the file `log`.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
        let child = spawn_from_lasting_thread(command).with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The memory that it holds, in KiB.
    ///
    /// # Errors
    /// When it is gone, or there is no `/proc`.
    pub fn rss_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        Ok(number.ok_or_else(|| anyhow!("no VmRSS"))?.parse()?)
    }

    /// Waits until `line` has been written.
    ///
    /// # Errors
    /// When the process ends first or the time is over; the error shows what it wrote.
    pub fn wait_for_log(&mut self, line: &str, patience: Duration) -> Result<()> {
        let name = self.name.clone();
        self.wait_until(&format!("{name} to write {line:?}"), patience, |process| process.log().contains(line))
    }

    /// Waits until `is_so`, looking every few milliseconds.
    ///
    /// # Errors
    /// When the process ends first or the time is over; the error shows what it wrote.
    pub fn wait_until(&mut self, what: &str, patience: Duration, is_so: impl Fn(&Self) -> bool) -> Result<()> {
        let start = Instant::now();
        while !is_so(self) {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status} while waiting for {what}:\n{}", self.name, self.end_of_log());
            }
            if start.elapsed() > patience {
                bail!("waited {patience:?} for {what}:\n{}", self.end_of_log());
            }
            thread::sleep(STEP);
        }
        Ok(())
    }

    /// Stops it and everything it started in mid-step. Connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it is gone.
    pub fn pause(&self) -> Result<()> {
        // Parents first, so that they start nothing while their children are being stopped.
        for id in self.family() {
            signal(id, Signal::STOP)?;
        }
        Ok(())
    }

    /// Lets it go on after [`pause`](Self::pause).
    ///
    /// # Errors
    /// When it is gone.
    pub fn resume(&self) -> Result<()> {
        for id in self.family() {
            signal(id, Signal::CONT)?;
        }
        Ok(())
    }

    /// Asks it to end, with `SIGTERM`.
    ///
    /// # Errors
    /// When it is gone.
    pub fn terminate(&self) -> Result<()> {
        signal(self.id(), Signal::TERM)
    }

    /// Waits for it to end by itself.
    ///
    /// # Errors
    /// When the time is over; the error shows what it wrote.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if start.elapsed() > patience {
                bail!("{} did not end within {patience:?}:\n{}", self.name, self.end_of_log());
            }
            thread::sleep(STEP);
        }
    }

    /// Ends it at once, as a crash would, with everything it started, and waits until all of it is gone: who takes its
    /// place needs its ports.
    pub fn kill(&mut self) {
        let family = self.family();
        for id in &family {
            let _ = signal(*id, Signal::KILL);
        }
        if let Some(group) = pid(self.id()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
        let start = Instant::now();
        while family.iter().any(|id| is_running(*id)) && start.elapsed() < LONGEST_END {
            thread::sleep(STEP);
        }
    }

    /// The process and all that descends from it, parents before children. Servers such as Postgres give each child a
    /// process group of its own, so the group alone does not reach them. Only itself where there is no `/proc`.
    fn family(&self) -> Vec<u32> {
        let parents = parents();
        let mut family = vec![self.id()];
        let mut seen = 0;
        while let Some(&parent) = family.get(seen) {
            family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
            seen += 1;
        }
        family
    }

    fn end_of_log(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let end = lines.iter().skip(lines.len().saturating_sub(SHOWN_LINES));
        end.fold(format!("--- end of the log of {}\n", self.name), |text, line| text + line + "\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("{}", self.end_of_log());
        }
    }
}

/// Runs a short program to its end and returns what it wrote to standard output.
///
/// # Errors
/// When it cannot be run, or ends with a failure; the error shows what it wrote to standard error.
pub fn run(mut command: Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!("{program} ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Lets this process, and those that it starts from now on, have `files` files and connections open at once.
///
/// # Errors
/// When the machine allows fewer.
pub fn allow_open_files(files: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= files);
    if !enough(limit.maximum) {
        bail!("{files} open files are needed: ulimit -Hn says {}", limit.maximum.unwrap_or_default());
    }
    if !enough(limit.current) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum: limit.maximum })?;
    }
    Ok(())
}

/// The program `name` in one of `folders`, or on the `PATH`.
#[must_use]
pub fn find_program(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut files = folders.iter().cloned().chain(std::env::split_paths(&path)).map(|folder| folder.join(name));
    files.find(|file| file.is_file())
}

/// The kernel's death signal is sent when the *thread* that started a child ends, and tests run in threads that end
/// early; so one thread that never ends starts all children.
fn spawn_from_lasting_thread(mut command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<Sender<Request>> = OnceLock::new();
    die_with_parent(&mut command);
    let spawner = SPAWNER.get_or_init(|| {
        let (requests, inbox) = mpsc::channel::<Request>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                let _ = reply.send(command.spawn());
            }
        });
        requests
    });
    let (reply, answer) = mpsc::channel();
    spawner.send((command, reply)).map_err(|_| anyhow!("the spawning thread is gone"))?;
    Ok(answer.recv()??)
}

type Request = (Command, Sender<std::io::Result<Child>>);

#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    let parent = rustix::process::getpid();
    let hook = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have ended before the signal was set.
        if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(rustix::io::Errno::SRCH.into()) }
    };
    // SAFETY: between fork and exec only two plain system calls are made; nothing is allocated or locked.
    unsafe {
        command.pre_exec(hook);
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_command: &mut Command) {}

/// Every process and its parent.
fn parents() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|id| Some((id, parent_of(id)?))).collect()
}

fn parent_of(id: u32) -> Option<u32> {
    let mut stat = String::new();
    File::open(format!("/proc/{id}/stat")).ok()?.read_to_string(&mut stat).ok()?;
    // The program's name stands in brackets and may hold spaces and brackets itself.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// A zombie has let go of everything.
fn is_running(id: u32) -> bool {
    state_of(id).is_some_and(|state| state != "Z")
}

fn state_of(id: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().next().map(str::to_owned)
}

fn signal(id: u32, signal: Signal) -> Result<()> {
    let pid = pid(id).ok_or_else(|| anyhow!("{id} is no process id"))?;
    kill_process(pid, signal).with_context(|| format!("cannot signal process {id}"))
}

fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}

const STEP: Duration = Duration::from_millis(5);
/// Only what waits for a disk takes so long.
const LONGEST_END: Duration = Duration::from_secs(5);
const SHOWN_LINES: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn shell(script: &str) -> (Scratch, Process) {
        let scratch = Scratch::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let process = Process::spawn("sh", command, &scratch.path().join("log")).unwrap();
        (scratch, process)
    }

    #[test]
    fn a_child_started_by_a_thread_that_has_ended_lives_on() {
        let (_scratch, mut process) = thread::spawn(|| shell("sleep 0.3; echo alive; sleep 60")).join().unwrap();
        process.wait_for_log("alive", Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn a_drop_ends_the_child_and_what_it_started_in_another_session() {
        let (_scratch, mut process) = shell("setsid sleep 61 & echo id=$! ; wait");
        process.wait_for_log("id=", Duration::from_secs(10)).unwrap();
        let grandchild: u32 = process.log().trim().trim_start_matches("id=").parse().unwrap();
        drop(process);
        assert!(!is_running(grandchild), "the grandchild is still running");
    }

    #[test]
    fn a_paused_child_stands_still_until_it_is_resumed() {
        let (_scratch, mut process) = shell("echo up; exec sleep 60");
        process.wait_for_log("up", Duration::from_secs(10)).unwrap();
        process.pause().unwrap();
        process
            .wait_until("the stop", Duration::from_secs(10), |it| state_of(it.id()).as_deref() == Some("T"))
            .unwrap();
        process.resume().unwrap();
        process.wait_until("the go", Duration::from_secs(10), |it| state_of(it.id()).as_deref() != Some("T")).unwrap();
    }

    #[test]
    fn waiting_for_a_child_that_ends_shows_what_it_wrote() {
        let (_scratch, mut process) = shell("echo cannot bind >&2; exit 3");
        let error = process.wait_for_log("ready", Duration::from_secs(10)).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("cannot bind"), "{error}");
    }
}
