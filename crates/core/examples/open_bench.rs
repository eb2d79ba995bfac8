//! How long it takes to open a token of one kibibyte: `cargo run --release -p jwe-gate-core --features seal --example open_bench`.

use std::hint::black_box;
use std::time::Instant;

use jwe_gate_core::claims::{self, Rules};
use jwe_gate_core::cookie::{self, Limits, Name};
use jwe_gate_core::jwe::seal::{HeaderForm, Recipe};
use jwe_gate_core::jwe::{KeyRing, Profile};
use jwe_gate_core::secret::Secret;
use jwe_gate_core::time::UnixMillis;

const COOKIE: &str = "__Secure-authjs.session-token";
const ROUNDS: u32 = 20_000;

fn measure(what: &str, mut work: impl FnMut()) {
    // The best of several runs: whatever else the machine does only adds.
    let best = (0..7)
        .map(|_| {
            let start = Instant::now();
            (0..ROUNDS).for_each(|_| work());
            start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
        })
        .fold(f64::INFINITY, f64::min);
    println!("{what:<44} {best:8.3} µs");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ring =
        KeyRing::derive(Profile::AuthJs, None, COOKIE, &[Secret::new("a secret of the usual length, more or less")])?;
    let names = Name::new(COOKIE).into_iter().collect::<Vec<_>>();
    let now = UnixMillis::from_seconds(1_767_225_600);
    let payload = format!(
        r#"{{"name":"Alice","email":"alice@example.org","sub":"8c1f","iat":1767225600,"exp":1769817600,"jti":"x","pad":"{}"}}"#,
        "x".repeat(560)
    );
    for encryption in Profile::AuthJs.encryptions() {
        let iv = vec![7; encryption.iv_len()];
        let recipe = Recipe { secret: 0, encryption: *encryption, header: HeaderForm::Kid, iv: &iv };
        let token = ring.seal(&recipe, payload.as_bytes())?;
        let recipe = Recipe {
            header: HeaderForm::Verbatim(&format!(r#"{{"enc":"{}","alg":"dir"}}"#, encryption.as_str())),
            ..recipe
        };
        let odd = ring.seal(&recipe, payload.as_bytes())?;
        println!("{}, token of {} bytes", encryption.as_str(), token.len());
        measure("  open", || drop(black_box(ring.open(black_box(token.as_bytes())))));
        measure("  open, header parsed", || drop(black_box(ring.open(black_box(odd.as_bytes())))));

        let header = format!("theme=dark; _ga=GA1.1.1234567890.1234567890; {COOKIE}={token}; lang=en");
        let lines = [header.as_bytes()];
        measure("  find the cookie", || drop(black_box(cookie::scan(black_box(&lines), &names, &Limits::default()))));
        measure("  find the cookie, open, check the claims", || {
            let scan = cookie::scan(black_box(&lines), &names, &Limits::default()).ok();
            let token = scan.and_then(|scan| scan.credential().map(|found| found.token(Profile::AuthJs)));
            let opened = token.and_then(|token| ring.open(&token).ok());
            let session = opened.map(|opened| claims::check(opened.plaintext(), None, &Rules::default(), now));
            assert!(matches!(black_box(session), Some(Ok(_))));
        });
    }
    let secrets = [Secret::new("a secret of the usual length, more or less")];
    let start = Instant::now();
    (0..1000).for_each(|_| drop(black_box(KeyRing::derive(Profile::AuthJs, None, COOKIE, &secrets))));
    println!("{:<44} {:8.3} µs", "derive the keys of a secret", start.elapsed().as_secs_f64() * 1e3);
    Ok(())
}
