//! `jwe-gate identity-key`: a new key that signs identities, as the variables of those who need its halves.

use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwe_gate_core::jws::Signer;
use jwe_gate_core::secret::Secret;

use crate::failure::Failure;

pub(crate) fn run() -> Result<ExitCode, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| Failure::Randomness)?;
    let d = URL_SAFE_NO_PAD.encode(seed);
    let signer = Signer::new(&Secret::new(&*d)).map_err(|_| Failure::Randomness)?;
    println!("IDENTITY_KEY={d}");
    println!("IDENTITY_PUBLIC_KEYS={}", signer.public_key().x());
    Ok(ExitCode::SUCCESS)
}
