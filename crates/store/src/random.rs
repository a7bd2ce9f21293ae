//! The system's randomness: the only source of ids, seeds and keys.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// The system returned no random bytes. Nothing that needs them may continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's source of randomness failed")]
pub struct RandomnessUnavailable;

/// `N` random bytes.
pub fn random<const N: usize>() -> Result<[u8; N], RandomnessUnavailable> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// Fills `bytes` at random.
pub fn fill(bytes: &mut [u8]) -> Result<(), RandomnessUnavailable> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| RandomnessUnavailable)
}
