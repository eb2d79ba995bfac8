//! A TCP proxy on a port of its own that can be told, while it runs, to fail as networks and servers do.
//!
//! It stands between a client and a server. What it is told holds from then on for open connections as well as for new
//! ones. A process that is killed or paused is not its business: that is done to the real one.
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::ports::Port;

/// A running proxy. It passes everything on until told otherwise, and ends when dropped.
#[derive(Debug)]
pub struct FaultProxy {
    // Fields drop in order: nothing listens any more when the port is given back.
    _runtime: Runtime,
    modes: watch::Sender<Mode>,
    port: Port,
}

/// What becomes of connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Every byte goes on.
    Pass,
    /// Connections are made and stay open; no byte goes on until the mode changes.
    Pause,
    /// Every byte goes on this much later, in each direction.
    Slow(Duration),
    /// The server is cut off, and whatever the client sends is answered with random bytes. A connection that has come to
    /// this is reset when the mode changes.
    Garbage,
    /// Open connections are reset, and each new one as soon as it is made.
    Reset,
    /// New connections are refused, as where nobody listens. Open ones go on, until the server ends them.
    Refuse,
}

impl FaultProxy {
    /// Starts a proxy in front of the server at `server`, which need not be up yet.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(server: SocketAddr) -> Result<Self> {
        let port = Port::take()?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (modes, receiver) = watch::channel(Mode::Pass);
        let listener = runtime.block_on(TcpListener::bind(port.address())).context("cannot listen")?;
        runtime.spawn(listen(listener, server, receiver));
        Ok(Self { _runtime: runtime, modes, port })
    }

    /// Changes what becomes of connections.
    pub fn set(&self, mode: Mode) {
        self.modes.send_replace(mode);
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

type Modes = watch::Receiver<Mode>;

async fn listen(first: TcpListener, server: SocketAddr, modes: Modes) {
    let (address, mut listener) = (first.local_addr(), Some(first));
    let Ok(address) = address else { return };
    loop {
        if let Some(listener) = listener.take() {
            tokio::select! {
            biased;
                    () = until(&modes, |mode| mode == Mode::Refuse) => {}
                    () = accept(&listener, server, &modes) => {}
                }
        }
        // Without a listener the kernel refuses.
        until(&modes, |mode| mode != Mode::Refuse).await;
        listener = TcpListener::bind(address).await.ok();
        if listener.is_none() {
            sleep(BETWEEN_TRIES).await;
        }
    }
}

async fn accept(listener: &TcpListener, server: SocketAddr, modes: &Modes) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => drop(tokio::spawn(serve(client, server, modes.clone()))),
            Err(_) => sleep(BETWEEN_TRIES).await,
        }
    }
}

async fn serve(mut client: TcpStream, server: SocketAddr, modes: Modes) {
    let breaks = |mode| matches!(mode, Mode::Garbage | Mode::Reset);
    let mode = *modes.borrow();
    if !breaks(mode) && relay(&mut client, server, &modes, breaks).await == End::Closed {
        return;
    }
    let mode = *modes.borrow();
    if mode == Mode::Garbage {
        tokio::select! {
        biased;
            () = until(&modes, |mode| mode != Mode::Garbage) => {}
            () = babble(&mut client) => {}
        }
    }
    // Closing with no time to linger is what sends a reset.
    let _ = client.set_zero_linger();
}

/// How a connection came to its end.
#[derive(PartialEq)]
enum End {
    /// By the client or the server.
    Closed,
    /// By the mode, or since there is no server.
    Broken,
}

async fn relay(client: &mut TcpStream, server: SocketAddr, modes: &Modes, breaks: fn(Mode) -> bool) -> End {
    let Ok(mut server) = TcpStream::connect(server).await else { return End::Broken };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (there, back) = (modes.clone(), modes.clone());
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    tokio::select! {
        biased;
        () = until(modes, breaks) => End::Broken,
        _ = async { tokio::join!(carry(from_client, to_server, there), carry(from_server, to_client, back)) } => End::Closed,
    }
}

/// Takes bytes from one side to the other until the one closes. A queue between them lets a delay be one for each
/// piece, and not for all that come behind it.
async fn carry(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, modes: Modes) {
    let (queue, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(QUEUE);
    let at_writing = modes.clone();
    let read = async move {
        let mut piece = Vec::with_capacity(PIECE);
        while let Ok(1..) = from.read_buf(&mut piece).await {
            let mode = *modes.borrow();
            let delay = if let Mode::Slow(delay) = mode { delay } else { Duration::ZERO };
            let piece = std::mem::replace(&mut piece, Vec::with_capacity(PIECE));
            if queue.send((Instant::now() + delay, piece)).await.is_err() {
                break;
            }
        }
    };
    let write = async move {
        while let Some((time, piece)) = due.recv().await {
            sleep_until(time).await;
            until(&at_writing, |mode| mode != Mode::Pause).await;
            if to.write_all(&piece).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

async fn babble(client: &mut TcpStream) {
    // The same bytes in every run.
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut heard = Vec::with_capacity(PIECE);
    while let Ok(1..) = client.read_buf(&mut heard).await {
        heard.clear();
        let mut noise = [0; NOISE];
        random.fill(&mut noise);
        if client.write_all(&noise).await.is_err() {
            return;
        }
    }
}

async fn until(modes: &Modes, is_so: impl Fn(Mode) -> bool) {
    // It fails when the proxy is being dropped, and this task with it.
    let _ = modes.clone().wait_for(|mode| is_so(*mode)).await;
}

const BETWEEN_TRIES: Duration = Duration::from_millis(10);
const PIECE: usize = 16 << 10;
const QUEUE: usize = 64;
const NOISE: usize = 256;
const SEED: u64 = 4711;

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpStream;

    use super::*;
    use crate::http::{self, Connection};
    use crate::upstream::Upstream;

    fn pair() -> (Upstream, FaultProxy) {
        let upstream = Upstream::start().unwrap();
        let proxy = FaultProxy::start(upstream.address()).unwrap();
        (upstream, proxy)
    }

    fn ask(connection: &mut Connection) -> Result<u16> {
        connection.send(http::get("/", &[])).map(|reply| reply.status)
    }

    /// What a raw client reads after a request, at most `patience` later.
    fn read(proxy: &FaultProxy, patience: Duration) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(proxy.address())?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(http::get("/", &[]).as_ref())?;
        let mut buffer = vec![0; 4096];
        let length = stream.read(&mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    }

    #[test]
    fn what_is_slow_comes_late_in_both_directions_and_whole() {
        let (_upstream, proxy) = pair();
        let mut connection = Connection::open(proxy.address()).unwrap();
        assert_eq!(ask(&mut connection).unwrap(), 200);
        let delay = Duration::from_millis(40);
        proxy.set(Mode::Slow(delay));
        let start = std::time::Instant::now();
        assert_eq!(ask(&mut connection).unwrap(), 200);
        assert!(start.elapsed() >= delay * 2);
    }

    #[test]
    fn what_is_paused_goes_on_later_on_open_connections_and_on_new_ones() {
        let (upstream, proxy) = pair();
        let mut open = Connection::open(proxy.address()).unwrap();
        assert_eq!(ask(&mut open).unwrap(), 200);
        proxy.set(Mode::Pause);
        let mut new = Connection::open(proxy.address()).unwrap();
        for connection in [&mut open, &mut new] {
            connection.write(http::get("/", &[]).as_ref()).unwrap();
        }
        let silence = read(&proxy, Duration::from_millis(100)).unwrap_err();
        assert!(matches!(silence.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");
        assert_eq!(upstream.requests(), 1);
        proxy.set(Mode::Pass);
        for connection in [&mut open, &mut new] {
            assert_eq!(connection.read().unwrap().status, 200);
        }
    }

    #[test]
    fn garbage_is_no_answer_and_the_server_hears_nothing() {
        let (upstream, proxy) = pair();
        let mut open = TcpStream::connect(proxy.address()).unwrap();
        open.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut ask = |buffer: &mut [u8]| {
            open.write_all(http::get("/", &[]).as_ref())?;
            open.read(buffer)
        };
        let mut answer = vec![0; 4096];
        assert!(ask(&mut answer).is_ok_and(|length| answer[..length].starts_with(b"HTTP/1.1 200")));
        proxy.set(Mode::Garbage);
        assert!(ask(&mut answer).is_ok_and(|length| length == NOISE && !answer.starts_with(b"HTTP")));
        assert_eq!(read(&proxy, Duration::from_secs(10)).unwrap().len(), NOISE);
        assert_eq!(upstream.requests(), 1);
        proxy.set(Mode::Pass);
        assert!(ask(&mut answer).is_err(), "it is reset");
        assert!(read(&proxy, Duration::from_secs(10)).unwrap().starts_with(b"HTTP/1.1 200"));
    }

    #[test]
    fn a_reset_ends_open_connections_and_new_ones() {
        let (_upstream, proxy) = pair();
        let mut open = TcpStream::connect(proxy.address()).unwrap();
        open.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        open.write_all(http::get("/", &[]).as_ref()).unwrap();
        let mut first = [0; 1];
        open.read_exact(&mut first).unwrap();
        proxy.set(Mode::Reset);
        let mut rest = Vec::new();
        assert_eq!(open.read_to_end(&mut rest).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert!(read(&proxy, Duration::from_secs(10)).is_err());
        proxy.set(Mode::Pass);
        assert!(read(&proxy, Duration::from_secs(10)).is_ok());
    }

    #[test]
    fn a_refusal_is_told_from_a_reset_and_leaves_open_connections_alone() {
        let (_upstream, proxy) = pair();
        let mut open = Connection::open(proxy.address()).unwrap();
        assert_eq!(ask(&mut open).unwrap(), 200);
        proxy.set(Mode::Refuse);
        let start = std::time::Instant::now();
        while TcpStream::connect(proxy.address()).is_ok() {
            assert!(start.elapsed() < Duration::from_secs(10), "it still listens");
        }
        assert_eq!(ask(&mut open).unwrap(), 200);
        proxy.set(Mode::Pass);
        while TcpStream::connect(proxy.address()).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "it does not listen again");
        }
    }
}
