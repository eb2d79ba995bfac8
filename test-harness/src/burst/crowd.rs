//! A crowd: connections with TLS that are opened beforehand, and then send one request each in the same moment.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use jwe_gate_test_parts::http::trusting;
use jwe_gate_test_parts::process::allow_open_files;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// Open connections, all driven by the thread that uses them.
#[derive(Debug)]
pub struct Crowd {
    runtime: Runtime,
    connections: Vec<SendRequest<Empty<Bytes>>>,
}

/// What came of one request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// From the moment in which all were told to send, to the last byte of this answer.
    pub took: Duration,
}

/// A `GET` of `path` with these headers.
#[must_use]
pub fn request(path: &str, headers: &[(&str, &str)]) -> Request<Empty<Bytes>> {
    let request = Request::builder().method(Method::GET).uri(path).header("host", "localhost");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Empty::new()).expect("a well-formed request")
}

impl Crowd {
    /// Opens `size` connections, to each of `gates` in turn, and trusts the authority in the file `authority`.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn gather(gates: &[SocketAddr], size: usize, authority: &Path) -> Result<Self> {
        // Both ends of a connection through a proxy are in one process at most twice.
        allow_open_files(u64::try_from(size)? * 2 + SPARE_FILES)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let tls = trusting(authority)?;
        let connections = runtime.block_on(async {
            let mut connections = Vec::with_capacity(size);
            for gate in gates.iter().cycle().take(size) {
                connections.push(connect(*gate, &tls).await.with_context(|| format!("cannot connect to {gate}"))?);
            }
            anyhow::Ok(connections)
        })?;
        Ok(Self { runtime, connections })
    }

    /// Sends one request over each connection, all at once, and returns the answers in the same order. What was not
    /// answered is nothing.
    ///
    /// # Errors
    /// When there are not as many requests as connections.
    pub fn rush(&mut self, requests: Vec<Request<Empty<Bytes>>>) -> Result<Vec<Option<Answer>>> {
        ensure!(requests.len() == self.connections.len(), "one request for each connection");
        let Self { runtime, connections } = self;
        runtime.block_on(async {
            let start = Instant::now();
            let under_way: Vec<_> = connections
                .iter_mut()
                .zip(requests)
                .map(|(connection, request)| tokio::spawn(answer(connection.send_request(request), start)))
                .collect();
            let mut answers = Vec::with_capacity(under_way.len());
            for task in under_way {
                answers.push(task.await?);
            }
            Ok(answers)
        })
    }
}

async fn connect(gate: SocketAddr, tls: &Arc<ClientConfig>) -> Result<SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(gate).await?;
    stream.set_nodelay(true)?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(ServerName::try_from("localhost")?, stream).await?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Its end shows at the sender.
    tokio::spawn(connection);
    Ok(sender)
}

async fn answer(
    sent: impl Future<Output = hyper::Result<hyper::Response<hyper::body::Incoming>>>,
    start: Instant,
) -> Option<Answer> {
    let read = async {
        let (head, body) = sent.await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok::<_, hyper::Error>(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            took: start.elapsed(),
        })
    };
    timeout_at(start + PATIENCE, read).await.ok()?.ok()
}

impl Answer {
    /// All values of the header `name`, as text.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

const SPARE_FILES: u64 = 500;
const PATIENCE: Duration = Duration::from_mins(1);
