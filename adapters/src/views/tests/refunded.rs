//! The index of refunds, in a file, in a database and in memory.

use super::*;
use florin_domain::ids::{OperationId, RefundId};
use florin_domain::payment::{Operation, OperationKind};
use florin_domain::ports::{RefundPlace, RefundsQuery};
use std::collections::BTreeSet;

fn refund(bits: u128) -> Operation {
    Operation {
        id: OperationId::Refund(RefundId::from_bits(bits)),
        kind: OperationKind::Refund,
        amount: Amount::new(1).unwrap(),
        is_final: false,
        reason: None,
        opened_at: Timestamp::from_unix_ms(1000),
        attempts: 0,
        attempt: None,
        earlier: Vec::new(),
        late: Vec::new(),
        transaction: None,
        proposal: None,
        reverses: None,
        booked: None,
        matters: Vec::new(),
        matters_noted: 0,
    }
}

/// A payment as commit `seq` left it, which is when it was given back for the `seq`th time.
fn given_back(n: u64, seq: u64) -> PaymentRow {
    let mut row = row(n, u128::from(n % 2), n.is_multiple_of(3), seq);
    let payment = Arc::make_mut(&mut row.payment);
    // In the order of their ids refunds of one payment lie between those of others.
    payment.operations = (1..=seq)
        .map(|at| refund(u128::from(at) * 100 + u128::from(n)))
        .collect();
    row
}

proptest! {
    #[test]
    fn every_view_lists_the_same_refunds_also_after_reopening(
        batches in prop::collection::vec(prop::collection::vec((0..12_u64, 0..4_u64), 0..12), 1..5),
        bounds in (prop::option::of(0..500_u128), prop::option::of(0..500_u128)),
        limit in 0..9_usize,
    ) {
        let dir = TempDir::new().unwrap();
        let memory = MemoryViews::default();
        let mut sqlite = open(&file(&dir));
        let taken = taken();
        let mut shared = open_shared(&taken);
        let mut known: BTreeSet<(u128, u64)> = BTreeSet::new();
        for batch in batches {
            let rows: Vec<PaymentRow> = batch.iter().map(|(n, seq)| given_back(*n, *seq)).collect();
            known.extend(batch.iter().flat_map(|(n, seq)| {
                (1..=*seq).map(|at| (u128::from(at) * 100 + u128::from(*n), *n))
            }));
            wait(memory.apply(rows.clone(), Vec::new(), Seq(9))).unwrap();
            wait(sqlite.apply(rows.clone(), Vec::new(), Seq(9))).unwrap();
            wait(shared.apply(rows, Vec::new(), Seq(9))).unwrap();
            drop(sqlite);
            sqlite = open(&file(&dir));
            shared = open_shared(&taken);
            for (merchant, livemode) in [(0, true), (1, false), (1, true), (7, true)] {
                let mut query = RefundsQuery::newest(MerchantId::from_bits(merchant), livemode, limit);
                if let Some(bits) = bounds.0 {
                    query = query.older_than(RefundId::from_bits(bits));
                } else if let Some(bits) = bounds.1 {
                    query = query.newer_than(RefundId::from_bits(bits));
                }
                let mut expected: Vec<RefundPlace> = known
                    .iter()
                    .filter(|(_, n)| u128::from(n % 2) == merchant && (n % 3 == 0) == livemode)
                    .map(|(bits, n)| (RefundId::from_bits(*bits), id(*n)))
                    .filter(|(refund, _)| query.ids.contains(refund))
                    .collect();
                if query.order == ListOrder::NewestFirst {
                    expected.reverse();
                }
                expected.truncate(limit);
                prop_assert_eq!(&wait(memory.refunds(query.clone())).unwrap(), &expected);
                prop_assert_eq!(&wait(sqlite.refunds(query.clone())).unwrap(), &expected);
                prop_assert_eq!(&wait(shared.refunds(query)).unwrap(), &expected);
            }
        }
    }
}
