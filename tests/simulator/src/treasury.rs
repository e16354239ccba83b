//! Owns the treasurers' side: accounts in every shard and transfers between them, each under an id of its own, and what they were
//! told. It outlives the processes.

use crate::clock::lock;
use crate::dice::Dice;
use florin_actors::account_shard::{OpenAccount, TransferRequest};
use florin_actors::ledger_handle::Told;
use florin_domain::ids::{ApiKeyId, ShardId};
use florin_domain::ledger::{
    AccountKey, AccountLimits, AccountName, AccountType, EffectiveDate, Irreversible, Linkage, Posting, Side,
    Transfer, TransferId, TransferLegs, TransferStep,
};
use florin_domain::money::{Amount, Currency};
use florin_domain::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Accounts in each shard.
const TILLS: u16 = 3;
/// What each has at first.
const GRANTED_MINOR: i128 = 5_000;
/// Ids of one errand.
const IDS: u128 = 16;

/// What is asked of the ledger, one request after the other.
#[derive(Debug)]
pub(crate) struct Errand {
    dice: Dice,
    number: u64,
    /// What is asked now; nothing when all is done.
    pub(crate) request: Option<TransferRequest>,
    /// A reservation that is to be ended by the next request.
    reserved: Option<TransferId>,
    pub(crate) sent: u32,
    /// What is asked now was never sent before.
    pub(crate) is_new: bool,
    used: u128,
}

/// All errands, and what each transfer was finally told.
#[derive(Debug)]
pub(crate) struct Treasury {
    pub(crate) errands: Vec<Mutex<Errand>>,
    /// The tills, once they are open.
    pub(crate) tills: Mutex<Vec<AccountKey>>,
    /// Transfers that somebody was told are recorded.
    pub(crate) recorded: Mutex<BTreeMap<TransferId, Transfer>>,
    /// Requests all of which is recorded, or nothing.
    pub(crate) atomic: Mutex<Vec<Vec<TransferId>>>,
    shards: u16,
}

fn amount(minor: u64) -> Amount {
    Amount::new(i128::from(minor.max(1))).expect("small and positive")
}

/// The key of the operator who asks.
pub(crate) fn treasurer() -> ApiKeyId {
    ApiKeyId::from_bits(1)
}

pub(crate) fn single(id: TransferId, debit: AccountKey, credit: AccountKey, amount: Amount) -> Transfer {
    Transfer {
        id,
        step: TransferStep::Single,
        legs: TransferLegs::Pair {
            debit,
            credit,
            amount,
        },
        linked: false,
        is_payout: false,
        effective: None,
        notes: None,
    }
}

pub(crate) fn asked(transfers: Vec<Transfer>, linkage: Linkage) -> TransferRequest {
    TransferRequest {
        transfers,
        linkage,
        is_dry_run: false,
        by: treasurer(),
    }
}

impl Treasury {
    pub(crate) fn new(seed: u64, errands: u64, shards: u16) -> Self {
        let errand = |number| {
            Mutex::new(Errand {
                dice: Dice::of(seed, "errand", number),
                number,
                request: None,
                reserved: None,
                sent: 0,
                is_new: true,
                used: 0,
            })
        };
        Self {
            errands: (0..errands).map(errand).collect(),
            tills: Mutex::default(),
            recorded: Mutex::default(),
            atomic: Mutex::default(),
            shards,
        }
    }

    /// The accounts to be opened, and what each gets from its shard's bank.
    pub(crate) fn openings(&self) -> Vec<OpenAccount> {
        let till = |number: u16| OpenAccount {
            name: Arc::from(format!("till {number}")),
            account_type: if number % TILLS == 2 {
                AccountType::Asset
            } else {
                AccountType::Liability
            },
            currency: if number % TILLS == 1 {
                Currency::EUR
            } else {
                Currency::USD
            },
            livemode: false,
            limits: AccountLimits {
                min_minor: number.is_multiple_of(TILLS).then_some(0),
                max_minor: number.is_multiple_of(4).then_some(8_000),
            },
            metadata: Vec::new(),
            shard: ShardId(number / TILLS),
            by: treasurer(),
        };
        (0..self.shards * TILLS).map(till).collect()
    }

    /// What a till has at first.
    pub(crate) fn grant(number: usize, till: AccountKey) -> Transfer {
        let bank = AccountKey {
            name: AccountName::Bank,
            ..till
        };
        let id = TransferId((1 << 100) + number as u128);
        let granted = Amount::new(GRANTED_MINOR).expect("small and positive");
        match till.name.account_type() {
            // What an asset holds comes from a credit of the bank.
            AccountType::Asset | AccountType::Expense => single(id, till, bank, granted),
            AccountType::Liability | AccountType::Equity | AccountType::Revenue => {
                single(id, bank, till, granted)
            }
        }
    }

    /// Errands that want something still.
    pub(crate) fn open(&self) -> Vec<usize> {
        let errands = self.errands.iter().enumerate();
        let open = errands.filter(|(_, errand)| lock(errand).is_open());
        open.map(|(number, _)| number).collect()
    }

    /// Remembers what was told.
    pub(crate) fn told(&self, request: &TransferRequest, told: &[Told]) {
        let mut recorded = lock(&self.recorded);
        for (transfer, told) in request.transfers.iter().zip(told) {
            match told {
                Told::Done | Told::Existed(_) => {
                    recorded.insert(transfer.id, transfer.clone());
                }
                Told::Refused(_) => {}
            }
        }
    }
}

impl Errand {
    fn is_open(&self) -> bool {
        self.request.is_some() || self.used == 0
    }

    pub(crate) fn wait_ms(&mut self, most: u64) -> u64 {
        self.dice.within(0, most)
    }

    fn id(&mut self) -> TransferId {
        self.used += 1;
        TransferId(u128::from(self.number + 1) * IDS + self.used)
    }

    fn pair(&mut self, tills: &[AccountKey]) -> Transfer {
        let debit = *self.dice.pick(tills);
        let same = |till: &&AccountKey| till.currency == debit.currency && **till != debit;
        let others: Vec<AccountKey> = tills.iter().filter(same).copied().collect();
        let mut credit = if others.is_empty() {
            debit
        } else {
            *self.dice.pick(&others)
        };
        if self.dice.hits(200) {
            credit = *self.dice.pick(tills);
        }
        let minor = self.dice.within(1, 2_500);
        single(self.id(), debit, credit, amount(minor))
    }

    /// The first request of the errand.
    pub(crate) fn begin(&mut self, tills: &[AccountKey], now: Timestamp) -> Option<Vec<TransferId>> {
        if self.used > 0 {
            return None;
        }
        let home = self.dice.pick(tills).home();
        let near: Vec<AccountKey> = tills.iter().filter(|till| till.home() == home).copied().collect();
        let mut atomic = None;
        self.request = Some(match self.dice.below(8) {
            0..3 => asked(vec![self.pair(tills)], Linkage::Independent),
            3 => {
                let many = (0..self.dice.within(2, 6)).map(|_| self.pair(tills)).collect();
                asked(many, Linkage::Independent)
            }
            4 => {
                let many: Vec<Transfer> = (0..self.dice.within(2, 5)).map(|_| self.pair(&near)).collect();
                atomic = Some(many.iter().map(|transfer| transfer.id).collect());
                asked(many, Linkage::Atomic)
            }
            5 => {
                let (mut first, second) = (self.pair(&near), self.pair(&near));
                first.linked = true;
                atomic = Some(vec![first.id, second.id]);
                asked(vec![first, second], Linkage::Independent)
            }
            6 => {
                let mut many = self.pair(&near);
                if let TransferLegs::Pair {
                    debit,
                    credit,
                    amount,
                } = many.legs
                {
                    let posting = |account, side| Posting {
                        account,
                        side,
                        amount,
                    };
                    let legs = vec![posting(debit, Side::Debit), posting(credit, Side::Credit)];
                    many.legs = TransferLegs::Many(legs);
                }
                asked(vec![many], Linkage::Independent)
            }
            _ => {
                let mut reserved = self.pair(&near);
                let expires = self.dice.hits(5_000);
                let wait_ms = self.dice.within(5_000, 60_000);
                reserved.step = TransferStep::Pending {
                    expires_at: expires.then(|| Timestamp::from_unix_ms(now.unix_ms() + wait_ms)),
                };
                self.reserved = Some(reserved.id);
                asked(vec![reserved], Linkage::Independent)
            }
        });
        if self.dice.hits(2_500) {
            // It counts on an earlier day, which may be closed.
            let today = EffectiveDate::of(now).0;
            let days = u32::try_from(self.dice.within(1, 30)).unwrap_or(1);
            let asked = self.request.iter_mut().flat_map(|request| &mut request.transfers);
            for transfer in asked {
                transfer.effective = Some(EffectiveDate(today.saturating_sub(days)));
            }
        }
        atomic
    }

    /// Now and then all that was made by a request is undone, in one request and sometimes in two.
    fn revert(&mut self, was: &TransferRequest, told: &[Told]) -> Option<TransferRequest> {
        let is_first = was
            .transfers
            .iter()
            .all(|transfer| matches!(transfer.step, TransferStep::Single));
        let undoes = if is_first { 2_500 } else { 1_000 };
        if !self.dice.hits(undoes) || self.used + 6 > IDS {
            return None;
        }
        let made = was.transfers.iter().zip(told);
        let made = made.filter(|(_, told)| matches!(told, Told::Done | Told::Existed(_)));
        let undone = |transfer: &Transfer| match transfer.step {
            TransferStep::Revert { reverts } => reverts,
            TransferStep::Single
            | TransferStep::Pending { .. }
            | TransferStep::Post { .. }
            | TransferStep::Void { .. } => transfer.id,
        };
        let reverted: Vec<TransferId> = made.map(|(transfer, _)| undone(transfer)).collect();
        let revert = |reverts| Transfer {
            id: self.id(),
            step: TransferStep::Revert { reverts },
            legs: TransferLegs::Irreversible(Irreversible::Unknown),
            linked: false,
            is_payout: false,
            effective: None,
            notes: None,
        };
        let reverts: Vec<Transfer> = reverted.into_iter().map(revert).collect();
        (!reverts.is_empty()).then(|| asked(reverts, Linkage::Independent))
    }

    /// What is asked after everything was told.
    pub(crate) fn next(&mut self, was: &TransferRequest, told: &[Told]) {
        self.request = None;
        self.sent = 0;
        self.is_new = true;
        let is_made = |told: &Told| matches!(told, Told::Done | Told::Existed(_));
        let Some(pending) = self.reserved.take() else {
            self.request = self.revert(was, told);
            return;
        };
        if !told.iter().all(is_made) || self.dice.hits(3_000) {
            return;
        }
        let step = if self.dice.hits(6_000) {
            TransferStep::Post { pending }
        } else {
            TransferStep::Void { pending }
        };
        let whole = match was.transfers.first().map(|transfer| &transfer.legs) {
            Some(TransferLegs::Pair { amount, .. }) => amount.minor(),
            Some(TransferLegs::Many(_) | TransferLegs::OfPending(_) | TransferLegs::Irreversible(_))
            | None => 1,
        };
        let part = matches!(step, TransferStep::Post { .. }) && self.dice.hits(4_000);
        let most = u64::try_from(whole).unwrap_or(1).max(1);
        let part = part.then(|| amount(self.dice.within(1, most)));
        let ends = Transfer {
            id: self.id(),
            step,
            legs: TransferLegs::OfPending(part),
            linked: false,
            is_payout: false,
            effective: None,
            notes: None,
        };
        self.request = Some(asked(vec![ends], Linkage::Independent));
    }
}
