//! Merchants that have keys of their own at the scripted provider, and what whoever has such a key may say of payments.

use crate::alarms::Alarms;
use crate::notices::{mute, succeeded};
use crate::operations::{Ask, ask, payment_of};
use crate::ports::lock;
use crate::provider::{Script, Scripted};
use crate::world::{World, amount_minor, merchant, options};
use florin_actors::options::Options;
use florin_actors::payments_handle::Change;
use florin_domain::credentials::KeyOwner;
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::money::Currency;
use florin_domain::payment::{CaptureMethod, Status};
use florin_domain::provider::{Notice, Signer};
use florin_domain::time::Timestamp;
use florin_supervisors::platform::Platform;
use std::collections::HashMap;
use std::sync::Mutex;

/// Since when each merchant's version of its own key is in force.
#[derive(Debug, Default)]
pub(crate) struct OwnKeys(Mutex<HashMap<MerchantId, (Timestamp, u32)>>);

impl OwnKeys {
    /// From the beginning on the merchant has a key of its own.
    pub(crate) fn give(&self, merchant: MerchantId) {
        self.give_since(merchant, (Timestamp::from_unix_ms(0), 1));
    }

    /// From then on this version of it is in force.
    pub(crate) fn give_since(&self, merchant: MerchantId, since: (Timestamp, u32)) {
        lock(&self.0).insert(merchant, since);
    }

    pub(crate) fn owner(&self, merchant: MerchantId, made_at: Timestamp) -> KeyOwner {
        match lock(&self.0).get(&merchant) {
            Some((since, version)) if *since <= made_at => KeyOwner::Merchant {
                merchant,
                version: *version,
            },
            Some(_) | None => KeyOwner::Platform,
        }
    }
}

fn under(signer: Signer, notice: &Notice) -> Notice {
    Notice {
        signer,
        ..notice.clone()
    }
}

#[test]
fn a_merchants_key_says_nothing_of_a_charge_under_another_key() {
    World::new(760).life(async |world, platform| {
        let payments = platform.payments();
        let said = async |signer, notice: &Notice| payments.notice(under(signer, notice)).await.unwrap();
        let own = || Signer::Merchants(vec![merchant()]);
        let version = |version| Signer::Accounts(vec![(merchant(), version)]);
        let (id, charge) = mute(world, &payments, 0, CaptureMethod::Automatic).await;
        let word = world.said_of(id, charge, succeeded("psp_1", amount_minor(0)));
        for signer in [own(), version(1)] {
            assert!(!said(signer, &word).await, "the platform's account was charged");
            assert_eq!(world.truth().payments[&id].status, Status::Processing);
        }
        // What was charged before the merchant had anything of its own stays the platform's.
        world.clock.advance_s(60);
        let now = platform.context().ports.clock.now();
        world.provider.own_keys.give_since(merchant(), (now, 2));
        assert!(!said(version(2), &word).await);
        assert!(said(Signer::Platform, &word).await);

        let (id, charge) = mute(world, &payments, 1, CaptureMethod::Automatic).await;
        let word = world.said_of(id, charge, succeeded("psp_1", amount_minor(1)));
        assert!(
            !said(version(1), &word).await,
            "another account of the same merchant"
        );
        let others = Signer::Accounts(vec![(MerchantId::from_bits(8), 2)]);
        assert!(!said(others, &word).await);
        assert_eq!(world.truth().payments[&id].status, Status::Processing);
        assert!(said(version(2), &word).await);
        assert_eq!(world.truth().payments[&id].status, Status::Succeeded);
    });
}

/// A person lets it be charged long after it was made, and by then the merchant has an account of its own.
#[test]
fn whose_account_is_charged_is_decided_when_the_charge_is_opened() {
    let mut options: Options = options();
    options.risk.review_above_bps = 100;
    World::with(761, options, Scripted::new(false, false)).life(async |world, platform| {
        let payments = platform.payments();
        world.script(0, Script::Mute { charged: true });
        let made = payments
            .create(payment_of(0, amount_minor(0), CaptureMethod::Automatic))
            .await
            .unwrap();
        let id = made.payment.id();
        assert!(matches!(made.payment.status, Status::InReview { .. }));
        world.clock.advance_s(60);
        let now = platform.context().ports.clock.now();
        world.provider.own_keys.give_since(merchant(), (now, 1));
        let approval = Ask {
            key: 1,
            payment: id,
            change: Change::ApproveReview,
        };
        ask(&payments, &approval).await.unwrap();
        let charge = made.payment.authorize_id();
        let word = world.said_of(id, charge, succeeded("psp_1", amount_minor(0)));
        let own = Signer::Accounts(vec![(merchant(), 1)]);
        assert!(payments.notice(under(own, &word)).await.unwrap());
        assert_eq!(world.truth().payments[&id].status, Status::Succeeded);
    });
}

/// So many matters a day; what follows from a merchant's own words counts, whatever it is.
fn two_a_day(seed: u64) -> World {
    let own_matters_day_max = 2;
    let options = Options {
        own_matters_day_max,
        ..options()
    };
    let world = World::with(seed, options, Scripted::new(false, false));
    world.provider.own_keys.give(merchant());
    world
}

#[test]
fn late_charges_beyond_a_days_limit_wait_for_another_day_and_none_is_lost() {
    two_a_day(762).life(async |world, platform| {
        let payments = platform.payments();
        let mut late = Vec::new();
        for n in 0..5 {
            world.script(n, Script::Decline);
            let made = payments
                .create(payment_of(n, amount_minor(n), CaptureMethod::Automatic))
                .await
                .unwrap()
                .payment;
            let charged = succeeded(&format!("psp_{n}"), amount_minor(n));
            let word = world.said_of(made.id(), made.authorize_id(), charged);
            late.push(under(Signer::Merchants(vec![merchant()]), &word));
        }
        let booked = || {
            let truth = world.truth();
            let charges = truth
                .payments
                .values()
                .map(|payment| payment.operations[0].late.len());
            charges.sum::<usize>()
        };
        // Nobody acknowledged the others, so all that are left come again, day after day.
        for (day, expected) in [2, 4, 5].into_iter().enumerate() {
            let mut waiting = Vec::new();
            for notice in late {
                if payments.notice(notice.clone()).await.is_err() {
                    waiting.push(notice);
                }
            }
            assert_eq!((booked(), waiting.len()), (expected, 5 - expected), "day {day}");
            late = waiting;
            world.clock.advance_s(24 * 3_600);
        }
        assert!(late.is_empty());
    });
}

#[test]
fn what_a_merchants_own_key_says_of_nothing_here_takes_no_room_from_what_is_here_and_buries_no_alert() {
    let alerts = Alarms::default();
    let told = || {
        (
            alerts.count("notice_orphaned"),
            alerts.count("own_notices_limited"),
        )
    };
    let life = async |world: &World, platform: Platform| {
        let payments = platform.payments();
        let made = payments
            .create(payment_of(0, amount_minor(0), CaptureMethod::Automatic))
            .await
            .unwrap()
            .payment;
        let (id, charge) = (made.id(), made.authorize_id());
        let own = || Signer::Merchants(vec![merchant()]);
        let of_other_currency = |name| Notice {
            currency: Currency::EUR,
            ..under(own(), &world.said_of(id, charge, succeeded(name, 1_000)))
        };
        let nowhere = |signer| Notice {
            payment: PaymentId::from_bits(5),
            ..under(signer, &world.said_of(id, charge, succeeded("psp_9", 1_000)))
        };
        // The platform's key has no limit.
        for _ in 0..3 {
            assert!(!payments.notice(nowhere(Signer::Platform)).await.unwrap());
        }
        assert_eq!(told(), (3, 0));
        // Sending it again would not help: it is acknowledged also when there were too many.
        for expected in [(4, 0), (5, 0), (5, 1)] {
            assert!(!payments.notice(nowhere(own())).await.unwrap());
            assert_eq!(told(), expected);
        }
        for name in ["psp_1", "psp_2"] {
            assert!(payments.notice(of_other_currency(name)).await.unwrap());
        }
        assert!(
            payments.notice(of_other_currency("psp_3")).await.is_err(),
            "two of them were raised today"
        );
        assert_eq!(told(), (5, 2));
        world.clock.advance_s(24 * 3_600);
        assert!(payments.notice(of_other_currency("psp_3")).await.unwrap());
        assert!(!payments.notice(nowhere(own())).await.unwrap());
        assert_eq!(told(), (6, 2));
    };
    metrics::with_local_recorder(&alerts, || two_a_day(763).life(life));
}
