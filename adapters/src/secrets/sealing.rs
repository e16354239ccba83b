//! AES-256-GCM with a fresh random nonce for each thing that is sealed.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use florin_domain::ports::DataKey;
use std::io;
use zeroize::Zeroizing;

pub(crate) const NONCE_BYTES: usize = 12;
pub(crate) const TAG_BYTES: usize = 16;

fn cipher(key: &DataKey) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key.as_slice())
        .ok()
        .map(LessSafeKey::new)
}

fn random(bytes: &mut [u8]) -> io::Result<()> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| io::Error::other("the system gives no random bytes"))
}

/// A new data key.
pub(crate) fn new_key() -> io::Result<DataKey> {
    let mut key = Zeroizing::new([0; 32]);
    random(key.as_mut_slice())?;
    Ok(key)
}

/// Appends nonce, ciphertext and tag of `plain`, bound to `about`.
pub(crate) fn seal(key: &DataKey, about: &[u8], plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut nonce = [0; NONCE_BYTES];
    random(&mut nonce)?;
    let failed = || io::Error::other("sealing failed");
    // Sealed in a buffer that is overwritten, whatever becomes of it.
    let mut buffer = Zeroizing::new(plain.to_vec());
    let tag = cipher(key)
        .ok_or_else(failed)?
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(about),
            buffer.as_mut_slice(),
        )
        .map_err(|_| failed())?;
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&buffer);
    out.extend_from_slice(tag.as_ref());
    Ok(())
}

/// What was sealed, if it is that and was bound to the same.
pub(crate) fn open(key: &DataKey, about: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let mut buffer = Zeroizing::new(rest.to_vec());
    let opened = cipher(key)?.open_in_place(
        Nonce::assume_unique_for_key(*nonce),
        Aad::from(about),
        buffer.as_mut_slice(),
    );
    let length = opened.ok()?.len();
    buffer.truncate(length);
    Some(buffer)
}
