//! Ports that the world does without: nothing is kept in snapshots, and signatures say nothing.

use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{
    ReadError, Receipt, ReceiptSignature, ReceiptSigner, ShardSnapshot, SnapshotError, Snapshots,
};

#[derive(Debug)]
pub(crate) struct NoSnapshots;

impl Snapshots for NoSnapshots {
    fn save(&self, _shard: ShardId, _snapshot: &ShardSnapshot) -> Result<(), ReadError> {
        Ok(())
    }

    fn kept(&self, _shard: ShardId) -> Result<Vec<Seq>, ReadError> {
        Ok(Vec::new())
    }

    fn load(&self, _shard: ShardId, _seq: Seq) -> Result<ShardSnapshot, SnapshotError> {
        Err(SnapshotError("none is kept".to_owned()))
    }
}

/// Signs with the sequence number: what is signed is tested where the key is.
#[derive(Debug)]
pub(crate) struct SumSigner;

impl ReceiptSigner for SumSigner {
    fn sign_receipt(&self, receipt: &Receipt) -> ReceiptSignature {
        let mut signature = [0; 64];
        signature[..8].copy_from_slice(&receipt.seq.0.to_be_bytes());
        ReceiptSignature {
            public_key: [7; 32],
            signature,
        }
    }
}
