//! Owns receipts: what a payment is and that it is in the books, signed, without anything about the customer.

use super::head::HeadForm;
use super::hex::Hex;
use super::key::SigningKey;
use super::proof::{ProofError, ProofHeads, paths};
use crate::journal::{StoredJournal, StoredRecord};
use florin_domain::commit::Body;
use florin_domain::ids::PaymentId;
use florin_domain::payment::{Payment, evolve_all};
use florin_domain::ports::{ClientSecrets, ReadError, Receipt, ReceiptSignature, ReceiptSigner};
use florin_domain::time::Timestamp;
use serde::Serialize;

/// What the signed bytes begin with.
const DOMAIN: &[u8] = b"florin/receipt/v1\n";

/// A receipt as it is written. The signature covers everything but the inclusion, which has one of its own in its head.
#[derive(Clone, Debug, Serialize)]
pub struct ReceiptForm {
    object: &'static str,
    version: u8,
    public_key: Hex<32>,
    payment: String,
    merchant: String,
    livemode: bool,
    status: String,
    currency: String,
    amount_minor: u64,
    captured_minor: u64,
    refunded_minor: u64,
    shard: u16,
    seq: u64,
    record_hash: Hex<32>,
    issued_at_ms: u64,
    signature: Hex<64>,
    inclusion: InclusionForm,
}

/// That the record is in the journal.
#[derive(Clone, Debug, Serialize)]
pub struct InclusionForm {
    head: HeadForm,
    path: Vec<Hex<32>>,
}

/// What is signed: numbers of fixed sizes, little-endian, and texts behind their lengths, so that no two receipts run together.
fn message(receipt: &Receipt) -> Vec<u8> {
    let mut message = DOMAIN.to_vec();
    message.extend(receipt.shard.0.to_le_bytes());
    message.extend(receipt.seq.0.to_le_bytes());
    message.extend(receipt.record_hash);
    message.extend(receipt.issued_at.unix_ms().to_le_bytes());
    message.push(u8::from(receipt.livemode));
    for amount_minor in [
        receipt.amount_minor,
        receipt.captured_minor,
        receipt.refunded_minor,
    ] {
        message.extend(amount_minor.to_le_bytes());
    }
    let (payment, merchant) = (receipt.payment.to_string(), receipt.merchant.to_string());
    for text in [
        payment.as_str(),
        merchant.as_str(),
        receipt.status,
        receipt.currency.code(),
    ] {
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        message.extend(len.to_le_bytes());
        message.extend(text.as_bytes());
    }
    message
}

/// What stands in front of a payment's name when its client secret is made. No other message that is signed begins so.
const CLIENT_SECRET: &[u8] = b"florin/client-secret/v1\n";

/// The same of the words of a checkout session.
const CHECKOUT: &[u8] = b"florin/checkout/v1\n";

impl ClientSecrets for SigningKey {
    fn client_secret(&self, payment: PaymentId) -> u128 {
        self.secret_of(&[CLIENT_SECRET, payment.to_string().as_bytes()])
    }

    fn checkout_seal(&self, words: &str) -> u128 {
        self.secret_of(&[CHECKOUT, words.as_bytes()])
    }
}

impl SigningKey {
    /// Ed25519 signs the same message the same way, and nobody else can; its digest gives no signature away.
    fn secret_of(&self, message: &[&[u8]]) -> u128 {
        let signature = self.sign(&message.concat());
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &signature);
        let mut bits = [0; 16];
        bits.copy_from_slice(&digest.as_ref()[..16]);
        u128::from_be_bytes(bits)
    }
}

impl ReceiptSigner for SigningKey {
    fn sign_receipt(&self, receipt: &Receipt) -> ReceiptSignature {
        ReceiptSignature {
            public_key: self.public().0,
            signature: self.sign(&message(receipt)),
        }
    }
}

/// The state of a payment after its commits.
fn folded(records: &[StoredRecord]) -> Result<Payment, ReadError> {
    let mut payment = None;
    let mut last = florin_domain::ids::Seq::ZERO;
    for record in records {
        last = record.seq;
        if let Body::Payment(body) = &record.commit.body {
            payment =
                evolve_all(payment, &body.events, record.commit.at).map_err(|error| ReadError::Damaged {
                    seq: record.seq,
                    why: error.to_string(),
                })?;
        }
    }
    payment.ok_or_else(|| ReadError::Damaged {
        seq: last,
        why: "a payment without events".to_owned(),
    })
}

/// Signs what a payment is after `records`, which are all of its commits.
pub fn issue(
    journal: &dyn StoredJournal,
    records: &[StoredRecord],
    heads: &ProofHeads,
    key: &SigningKey,
    now_ms: u64,
) -> Result<ReceiptForm, ProofError> {
    let payment = folded(records)?;
    let last = &records[records.len().saturating_sub(1)..];
    let (mut found, _) = paths(
        journal,
        last,
        &ProofHeads {
            older: None,
            ..*heads
        },
    )?;
    let (Some(record), Some(path)) = (last.first(), found.pop()) else {
        return Err(ProofError::NoPayment(payment.id()));
    };
    let minor = |amount_minor: i128| u64::try_from(amount_minor).map_err(|_| ProofError::Amount);
    let receipt = Receipt {
        payment: payment.id(),
        merchant: payment.spec.merchant,
        livemode: payment.spec.livemode,
        status: payment.status.as_str(),
        currency: payment.spec.currency,
        amount_minor: minor(payment.amount_minor())?,
        captured_minor: minor(payment.captured.minor())?,
        refunded_minor: minor(payment.refunded.minor())?,
        shard: record.commit.shard,
        seq: record.seq,
        record_hash: record.hash,
        issued_at: Timestamp::from_unix_ms(now_ms),
    };
    let signed = key.sign_receipt(&receipt);
    Ok(ReceiptForm {
        object: "florin.receipt",
        version: 1,
        public_key: Hex(signed.public_key),
        payment: receipt.payment.to_string(),
        merchant: receipt.merchant.to_string(),
        livemode: receipt.livemode,
        status: receipt.status.to_owned(),
        currency: receipt.currency.code().to_owned(),
        amount_minor: receipt.amount_minor,
        captured_minor: receipt.captured_minor,
        refunded_minor: receipt.refunded_minor,
        shard: receipt.shard.0,
        seq: receipt.seq.0,
        record_hash: Hex(receipt.record_hash),
        issued_at_ms: now_ms,
        signature: Hex(signed.signature),
        inclusion: InclusionForm {
            head: HeadForm::from(heads.head),
            path,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_secret_is_the_payments_and_the_keys_alone() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = SigningKey::load_or_create(folder.path()).unwrap();
        let secret = key.client_secret(PaymentId::from_bits(7));
        let again = SigningKey::load(folder.path()).unwrap();
        assert_eq!(
            again.client_secret(PaymentId::from_bits(7)),
            secret,
            "after a restart as well"
        );
        assert_ne!(key.client_secret(PaymentId::from_bits(8)), secret);
        let stranger = SigningKey::load_or_create(other.path()).unwrap();
        assert_ne!(stranger.client_secret(PaymentId::from_bits(7)), secret);
    }

    #[test]
    fn the_seal_of_a_checkout_session_is_no_client_secret_and_nobody_elses() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = SigningKey::load_or_create(folder.path()).unwrap();
        let words = PaymentId::from_bits(7).to_string();
        let seal = key.checkout_seal(&words);
        assert_eq!(
            SigningKey::load(folder.path()).unwrap().checkout_seal(&words),
            seal
        );
        assert_ne!(seal, key.client_secret(PaymentId::from_bits(7)));
        let stranger = SigningKey::load_or_create(other.path()).unwrap();
        assert_ne!(stranger.checkout_seal(&words), seal);
    }
}
