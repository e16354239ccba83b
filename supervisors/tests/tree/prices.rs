//! What a customer was shown is what is charged, or nothing is.

use crate::operations::{Ask, amount, ask, ask_all, is_refused, replies};
use crate::world::{World, request};
use florin_actors::payment::Start;
use florin_actors::payments_handle::{Change, NewPayment};
use florin_domain::method::PaymentMethod;
use florin_domain::money::Currency;
use florin_domain::payment::{Amendment, Status};

const SHOWN_MINOR: i128 = 1_000;
const CHANGED_MINOR: i128 = 100_000;

fn confirm_for(minor: i128, currency: Currency) -> Change {
    Change::ConfirmFor {
        method: PaymentMethod::test("pm_card_visa").unwrap(),
        price: (amount(minor), currency),
    }
}

fn amend() -> Change {
    Change::Amend(Amendment {
        amount: Some(amount(CHANGED_MINOR)),
        ..Amendment::default()
    })
}

fn draft(n: usize) -> NewPayment {
    NewPayment {
        amount: amount(SHOWN_MINOR),
        start: Start::Draft(None),
        ..request(n)
    }
}

#[test]
fn a_draft_is_charged_at_the_price_that_was_shown_or_not_at_all() {
    World::new(31).life(async |world, platform| {
        let payments = platform.payments();
        let made = payments.create(draft(0)).await.unwrap();
        let payment = made.payment.id();
        let asked = |key, change| Ask { key, payment, change };
        for (key, change) in [
            (0, confirm_for(SHOWN_MINOR - 1, Currency::USD)),
            (1, confirm_for(SHOWN_MINOR, Currency::EUR)),
        ] {
            let answer = ask(&payments, &asked(key, change)).await;
            assert!(is_refused(&answer), "{answer:?}");
        }
        ask(&payments, &asked(2, amend())).await.unwrap();
        let refused = ask(&payments, &asked(3, confirm_for(SHOWN_MINOR, Currency::USD))).await;
        assert!(is_refused(&refused), "{refused:?}");
        assert_eq!(
            (world.provider.executes(payment), world.provider.sum_minor()),
            (0, 0)
        );
        let paid = ask(&payments, &asked(4, confirm_for(CHANGED_MINOR, Currency::USD))).await;
        assert_eq!(paid.unwrap().payment.status, Status::Succeeded);
        // What was answered once is answered again, whatever it costs by now.
        let again = ask(&payments, &asked(4, confirm_for(CHANGED_MINOR, Currency::USD))).await;
        assert!(again.unwrap().replayed);
        assert_eq!(world.provider.sum_minor(), CHANGED_MINOR);
    });
}

#[test]
fn a_price_that_is_changed_while_a_customer_pays_is_never_what_they_pay() {
    for (seed, is_first) in [(32, true), (33, false)] {
        World::new(seed).life(async |world, platform| {
            let payments = platform.payments();
            for n in 0..20 {
                let made = payments.create(draft(n)).await.unwrap();
                let payment = made.payment.id();
                let confirm = confirm_for(SHOWN_MINOR, Currency::USD);
                let mut asks = [(2 * n, confirm), (2 * n + 1, amend())].map(|(key, change)| Ask {
                    key,
                    payment,
                    change,
                });
                if !is_first {
                    asks.reverse();
                }
                let replies = replies(ask_all(&payments, &asks)).await;
                let taken = replies.iter().filter(|(_, answer)| answer.is_ok());
                assert_eq!(taken.count(), 1, "{replies:?}");
            }
            let paid = if is_first { 20 * SHOWN_MINOR } else { 0 };
            assert_eq!(world.provider.sum_minor(), paid);
        });
    }
}
