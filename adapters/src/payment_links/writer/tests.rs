//! That nobody waits without end for what others look up.

use super::*;
use crate::clock::SystemClock;
use crate::entropy::OsEntropy;
use crate::payment_links::file::open;
use crate::store_file::Kept;
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::money::{Amount, Currency};
use florin_domain::payment::CaptureMethod;
use florin_domain::payment_link::LinkTerms;

#[test]
fn a_change_waits_for_so_many_look_ups_and_no_more() {
    let writer = Writer {
        mirror: Mirror::none(),
        file: open(None, Kept::Here).unwrap(),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(OsEntropy::new()),
        halted: None,
        is_sweeping: false,
    };
    let terms = LinkTerms {
        amount: Amount::new(5).unwrap(),
        currency: Currency::EUR,
        description: None,
        metadata: Vec::new(),
        capture_method: CaptureMethod::Automatic,
        customer: None,
        redirect_url: None,
        single_use: true,
    };
    let owner = Owner {
        merchant: MerchantId::from_bits(1),
        livemode: false,
    };
    let create = Order::Merchant(owner, LinkChange::Create(Box::new(terms)), None);
    let made = writer.one(create, Timestamp::from_unix_ms(1_795_348_800_000));
    let Ok(made) = made else { panic!("it is made") };
    let claim = LinkClaim {
        link: made.link.id,
        instead_of: None,
        payment: PaymentId::from_bits(7),
    };
    let (letters, inbox) = mpsc::channel(BATCH_MAX * 2);
    let (reply, claimed) = oneshot::channel();
    letters
        .try_send(Letter::Change(Order::Claim(claim), reply))
        .unwrap();
    let ask = |_| {
        let (reply, found) = oneshot::channel();
        let asked = LookUp::Find(made.link.id, reply);
        letters.try_send(Letter::LookUp(asked)).unwrap();
        found
    };
    let found: Vec<_> = (1..BATCH_MAX * 2).map(ask).collect();
    drop(letters);
    writer.run(inbox);
    assert!(claimed.blocking_recv().unwrap().is_ok());
    let found = found
        .into_iter()
        .map(|found| found.blocking_recv().unwrap().unwrap());
    let before = found
        .filter(|link| link.as_ref().unwrap().payment.is_none())
        .count();
    assert_eq!(before, BATCH_MAX - 1, "of those behind it");
}
