//! Receipts: what a payment is and where its last record is, signed, for whoever has the public key.

use crate::ids::{MerchantId, PaymentId, Seq, ShardId};
use crate::money::Currency;
use crate::time::Timestamp;
use std::fmt;

/// What a receipt says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which payment.
    pub payment: PaymentId,
    /// Whose.
    pub merchant: MerchantId,
    /// Whether its money is real.
    pub livemode: bool,
    /// How it stands.
    pub status: &'static str,
    /// Of what.
    pub currency: Currency,
    /// What was asked for, in minor units.
    pub amount_minor: u64,
    /// What was captured, in minor units.
    pub captured_minor: u64,
    /// What was given back, in minor units.
    pub refunded_minor: u64,
    /// The journal that has its records.
    pub shard: ShardId,
    /// Its last record.
    pub seq: Seq,
    /// That record's chain hash.
    pub record_hash: [u8; 32],
    /// When this was said.
    pub issued_at: Timestamp,
}

/// A signature and the key that checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptSignature {
    /// Ed25519.
    pub public_key: [u8; 32],
    /// Over the receipt's bytes, as docs/audit.md has them.
    pub signature: [u8; 64],
}

/// Port of whoever signs receipts.
pub trait ReceiptSigner: Send + Sync + fmt::Debug {
    /// Signs what a receipt says.
    fn sign_receipt(&self, receipt: &Receipt) -> ReceiptSignature;
}
