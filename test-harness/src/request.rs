//! What a client sends.

/// A request: header lines in order, pseudo headers aside.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The host, with or without a port.
    pub host: String,
    /// The path.
    pub path: String,
    /// The header lines.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Which of the configured gates it comes to.
    pub gate: usize,
    /// Which worker takes it; a driver of a real proxy leaves that to the proxy.
    pub worker: usize,
}

impl Request {
    /// `GET` this path.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// This method on this path, at the host `app.test`.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.into(),
            host: "app.test".into(),
            path: path.into(),
            headers: Vec::new(),
            gate: 0,
            worker: 0,
        }
    }

    /// Is for this host.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.host = host.into();
        self
    }

    /// `GET /` with these cookies.
    #[must_use]
    pub fn with_cookies(cookies: &str) -> Self {
        Self::get("/").header("cookie", cookies)
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Comes to this gate.
    #[must_use]
    pub fn gate(mut self, gate: usize) -> Self {
        self.gate = gate;
        self
    }

    /// Comes to this worker, where the driver can say.
    #[must_use]
    pub fn worker(mut self, worker: usize) -> Self {
        self.worker = worker;
        self
    }

    /// The header map of a proxy.
    #[must_use]
    pub fn map(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pseudo =
            [(":method", &*self.method), (":scheme", "http"), (":authority", &self.host), (":path", &self.path)];
        let pseudo = pseudo.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        let lower = self.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        pseudo.into_iter().chain(lower).collect()
    }

    /// The bytes of an HTTP/1.1 request.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", self.method, self.path, self.host).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend([name.as_slice(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes
    }
}
