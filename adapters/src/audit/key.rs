//! Owns the Ed25519 key of a data folder: made at the first start, and never shown.

use super::hex;
use crate::secret_file;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::fmt;
use std::io;
use std::path::Path;

/// The file of the key's seed, readable for its owner only.
const FILE: &str = "audit_key.secret";

/// Bytes of a signature.
pub type Signature = [u8; 64];

/// What signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// The key of a data folder; made if there is none yet.
    pub fn load_or_create(data_dir: &Path) -> io::Result<Self> {
        Self::from_seed(&secret_file::load_or_create(&data_dir.join(FILE))?)
    }

    /// The key of a data folder that has one.
    pub fn load(data_dir: &Path) -> io::Result<Self> {
        Self::from_seed(&secret_file::load(&data_dir.join(FILE))?)
    }

    /// Whether a data folder has a key, so that it has been signed for before.
    pub fn exists(data_dir: &Path) -> io::Result<bool> {
        data_dir.join(FILE).try_exists()
    }

    fn from_seed(seed: &[u8; 32]) -> io::Result<Self> {
        let unusable = || io::Error::new(io::ErrorKind::InvalidData, "the signing key cannot be used");
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| unusable())?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| unusable())?;
        Ok(Self {
            pair,
            public: PublicKey(public),
        })
    }

    /// What others check its signatures with.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs a message.
    pub(super) fn sign(&self, message: &[u8]) -> Signature {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(message).as_ref());
        signature
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public)
    }
}

/// What signatures are checked with; written as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        hex::bytes(text).map(Self)
    }

    /// Whether the owner of the key signed this message.
    pub(super) fn has_signed(&self, message: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0)
            .verify(message, signature)
            .is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::digits(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_for_its_owner_only_and_signs_what_its_public_half_accepts() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!SigningKey::exists(folder.path()).unwrap());
        assert_eq!(
            SigningKey::load(folder.path()).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        let key = SigningKey::load_or_create(folder.path()).unwrap();
        assert!(SigningKey::exists(folder.path()).unwrap());
        let mode = std::fs::metadata(folder.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = SigningKey::load(folder.path()).unwrap();
        assert_eq!(again.public(), key.public());
        let signature = again.sign(b"message");
        assert!(key.public().has_signed(b"message", &signature));
        assert!(!key.public().has_signed(b"massage", &signature));
        assert_eq!(PublicKey::parse(&key.public().to_string()), Some(key.public()));
    }

    #[test]
    fn signatures_are_those_of_the_standard() {
        // RFC 8032, 7.1, test 2.
        let seed = hex::bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
        let key = SigningKey::from_seed(&seed).unwrap();
        assert_eq!(
            key.public().to_string(),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        assert_eq!(
            hex::digits(&key.sign(&[0x72])),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
    }
}
