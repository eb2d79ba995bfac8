//! An HTTP/1.1 client that sends exactly the bytes it is given, over plain TCP or TLS.
//!
//! Requests may be as broken as a test needs them. Replies are read strictly, with a time limit.
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// What came back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The header lines in order, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, without its transfer coding.
    pub body: Vec<u8>,
}

impl Reply {
    /// The first value of the header `name` (in lower case), as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(found, _)| found == name)?;
        std::str::from_utf8(value).ok()
    }

    /// The body as text, with replacement characters where it is none.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One connection, which serves request after request until a side closes it.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<Stream>,
}

impl Connection {
    /// Connects without TLS.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(address: SocketAddr) -> Result<Self> {
        Ok(Self { stream: BufReader::new(Stream::Plain(connect(address)?)) })
    }

    /// Goes on with a connection that somebody else has made, and may close.
    #[must_use]
    pub fn over(stream: TcpStream) -> Self {
        Self { stream: BufReader::new(Stream::Plain(stream)) }
    }

    /// Connects with TLS, as to `localhost`, and trusts the authority in the PEM file `authority` alone.
    ///
    /// # Errors
    /// When nobody listens there, or the file holds no certificate. A bad certificate shows at the first request.
    pub fn open_tls(address: SocketAddr, authority: &Path) -> Result<Self> {
        let session = ClientConnection::new(trusting(authority)?, ServerName::try_from("localhost")?)?;
        let stream = StreamOwned::new(session, connect(address)?);
        Ok(Self { stream: BufReader::new(Stream::Tls(Box::new(stream))) })
    }

    /// Sends `request` as it is and reads one reply.
    ///
    /// # Errors
    /// When the peer closes without an answer, answers what is no HTTP, or takes too long.
    pub fn send(&mut self, request: impl AsRef<[u8]>) -> Result<Reply> {
        self.write(request.as_ref())?;
        self.read()
    }

    /// Sends bytes; the rest of the request may follow.
    ///
    /// # Errors
    /// When the peer has closed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(bytes).and_then(|()| stream.flush()).context("cannot send the request")
    }

    /// Reads what comes next of a reply that has no end, as far as it is there.
    ///
    /// # Errors
    /// When the peer resets the connection, or is silent for too long.
    pub fn read_some(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(buffer)
    }

    /// A handle that can close the connection while somebody reads.
    ///
    /// # Errors
    /// When there are too many of them.
    pub fn socket(&self) -> Result<TcpStream> {
        Ok(match self.stream.get_ref() {
            Stream::Plain(stream) => stream.try_clone()?,
            Stream::Tls(stream) => stream.sock.try_clone()?,
        })
    }

    /// Reads one reply.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn read(&mut self) -> Result<Reply> {
        let (line, headers) = read_head(&mut self.stream).context("cannot read a reply")?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut reply =
            Reply { status: status.ok_or_else(|| anyhow!("no status in {line:?}"))?, headers, body: vec![] };
        if reply.status != 204 && reply.status != 304 && reply.status / 100 != 1 {
            (reply.body, _) =
                read_body(&mut self.stream, &reply.headers, true).context("cannot read a reply's body")?;
        }
        Ok(reply)
    }
}

/// TLS for clients that trust the authority in the PEM file `authority` alone.
///
/// # Errors
/// When the file holds no certificate.
pub fn trusting(authority: &Path) -> Result<Arc<ClientConfig>> {
    let certificate = CertificateDer::from_pem_file(authority)
        .with_context(|| format!("cannot read a certificate from {}", authority.display()))?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Sends `request` on a connection of its own and reads the reply.
///
/// # Errors
/// As [`Connection::open`] and [`Connection::send`].
pub fn send(address: SocketAddr, request: impl AsRef<[u8]>) -> Result<Reply> {
    Connection::open(address)?.send(request)
}

/// A well-formed `GET` of `path` with these header lines and nothing else but `Host`.
#[must_use]
pub fn get(path: &str, headers: &[(&str, &str)]) -> String {
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n");
    for (name, value) in headers {
        // Writing to a string cannot fail.
        let _ = write!(request, "{name}: {value}\r\n");
    }
    request + "\r\n"
}

/// Header lines or trailers in order, names in lower case.
pub(crate) type Lines = Vec<(String, Vec<u8>)>;

/// The first line and the headers.
type Head = (String, Lines);

pub(crate) fn read_head(stream: &mut impl BufRead) -> Result<Head> {
    let first = String::from_utf8_lossy(&read_line(stream)?).into_owned();
    ensure!(!first.is_empty(), "the peer closed the connection");
    Ok((first, read_lines(stream)?))
}

fn read_lines(stream: &mut impl BufRead) -> Result<Lines> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let colon = line.iter().position(|byte| *byte == b':').ok_or_else(|| anyhow!("a header without a colon"))?;
        let (name, value) = line.split_at(colon);
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        headers.push((name, value.strip_prefix(b":").unwrap_or_default().trim_ascii().to_vec()));
    }
}

/// Reads a body by its declared length or its chunks, and the trailers behind it; without either to the end if
/// `to_the_end`, else nothing.
pub(crate) fn read_body(
    stream: &mut impl BufRead,
    headers: &[(String, Vec<u8>)],
    to_the_end: bool,
) -> Result<(Vec<u8>, Lines)> {
    let find = |name| headers.iter().find(|(found, _)| found == name).map(|(_, value)| String::from_utf8_lossy(value));
    let (mut body, mut trailers) = (Vec::new(), Vec::new());
    if find("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        while read_chunk(stream, &mut body)? {}
        trailers = read_lines(stream)?;
    } else if let Some(length) = find("content-length") {
        read_exactly(stream, length.parse()?, &mut body)?;
    } else if to_the_end {
        stream.take(MOST_BYTES).read_to_end(&mut body)?;
    }
    Ok((body, trailers))
}

fn read_chunk(stream: &mut impl BufRead, body: &mut Vec<u8>) -> Result<bool> {
    let line = read_line(stream)?;
    let size = String::from_utf8_lossy(&line);
    let size = u64::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)?;
    if size == 0 {
        return Ok(false);
    }
    read_exactly(stream, size, body)?;
    read_line(stream)?;
    Ok(true)
}

fn read_exactly(stream: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> Result<()> {
    ensure!(length <= MOST_BYTES, "a body of {length} bytes");
    let read = stream.take(length).read_to_end(body)?;
    ensure!(u64::try_from(read)? == length, "the peer closed the connection within a body");
    Ok(())
}

/// One line without its end; empty at the end of the stream.
fn read_line(stream: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut line = Vec::new();
    stream.take(MOST_BYTES).read_until(b'\n', &mut line)?;
    if !line.is_empty() && line.pop() != Some(b'\n') {
        bail!("the peer closed the connection within a line");
    }
    Ok(line.strip_suffix(b"\r").map(<[u8]>::to_vec).unwrap_or(line))
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("cannot reach {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
const MOST_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(reply: &str) -> Result<(Head, Vec<u8>)> {
        let mut stream = reply.as_bytes();
        let head = read_head(&mut stream)?;
        let (body, _) = read_body(&mut stream, &head.1, true)?;
        Ok((head, body))
    }

    #[test]
    fn bodies_are_read_by_length_by_chunks_and_to_the_end() {
        for (reply, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", "abc"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n",
                "abcde",
            ),
            ("HTTP/1.0 200 OK\r\n\r\nto the end", "to the end"),
        ] {
            assert_eq!(parse(reply).unwrap().1, body.as_bytes(), "{reply:?}");
        }
    }

    #[test]
    fn a_reply_that_is_cut_short_is_an_error() {
        for reply in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "HTTP/1.1 200 OK\r\nA: b"] {
            assert!(parse(reply).is_err(), "{reply:?}");
        }
    }

    #[test]
    fn header_values_keep_their_bytes_and_lose_the_space_around_them() {
        let mut stream = b"HTTP/1.1 200 OK\r\nX-A:  \xff:b \r\n\r\n".as_slice();
        assert_eq!(read_head(&mut stream).unwrap().1, [("x-a".to_owned(), b"\xff:b".to_vec())]);
    }
}
