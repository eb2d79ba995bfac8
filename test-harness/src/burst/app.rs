//! An app whose answers a test makes, and which remembers everything that it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use jwe_gate_test_parts::server::{Answer, Server};
use jwe_gate_test_parts::upstream::Received;

/// The running app.
#[derive(Debug)]
pub struct App {
    server: Server,
    received: Arc<Mutex<Vec<Received>>>,
}

impl App {
    /// Starts it. `answer` gets the request and its number, from 1.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(answer: impl Fn(&Received, usize) -> Answer + Send + Sync + 'static) -> Result<Self> {
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let log = Arc::clone(&received);
        let server = Server::start(move |request| {
            let request = Received::from(request);
            let number = {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                log.push(request.clone());
                log.len()
            };
            answer(&request, number)
        })?;
        Ok(Self { server, received })
    }

    /// An app that has one page, the same for everybody, and refreshes the session of whoever asks for it, as Auth.js
    /// does. Whoever is not announced by the gate as everybody gets an answer of their own. All may be stored, it says.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn with_one_page() -> Result<Self> {
        Self::start(|request, number| {
            let body = if request.only(FOR_EVERYBODY).is_some() {
                PAGE.to_owned()
            } else {
                format!("answer {number}, to one client")
            };
            let user = request.all("x-user-id").join(",");
            Answer::new("text/html", body)
                .header("cache-control", "max-age=600")
                .header("set-cookie", format!("{}=refreshed-{number}; Path=/; Secure", crate::chain::COOKIE))
                .header("x-user-id", format!("echo of {user}"))
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What it was asked for, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The page that is the same for everybody.
pub(super) const PAGE: &str = "the page of this morning, the same for everybody";

/// By this header the shipped configuration tells the app that it asks for everybody.
const FOR_EVERYBODY: &str = "x-jwe-gate-content";
