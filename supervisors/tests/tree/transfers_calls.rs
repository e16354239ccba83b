//! Callers who make random transfers between the same few accounts, ask for balances meanwhile, ask again under old ids, and
//! write down what they asked, when, and what they were told.

use crate::ports::lock;
use crate::transfers_history::{Call, Deed, Ledger, Standing};
use florin_actors::account_shard::{OpenAccount, Opening, TransferRequest};
use florin_actors::ledger_handle::{Answer, LedgerError, LedgerHandle};
use florin_domain::ids::{ApiKeyId, LedgerAccountId, ShardId};
use florin_domain::ledger::{
    AccountKey, AccountLimits, AccountType, GeneralAccount, Linkage, Posting, Side, Transfer, TransferId,
    TransferLegs, TransferStep,
};
use florin_domain::money::{Amount, Currency};
use florin_domain::time::Timestamp;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

/// `SplitMix64`.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        (!all.is_empty()).then(|| all[self.below(all.len())].clone())
    }

    fn amount(&mut self) -> Amount {
        Amount::new(1 + i128::try_from(self.below(120)).unwrap()).unwrap()
    }
}

/// What is asked of the ledger.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Transfers {
        asked: Vec<Transfer>,
        linkage: Linkage,
        is_dry_run: bool,
    },
    Account(AccountKey),
    AllAccounts,
    Reservation(TransferId),
}

/// A call as it is written down; nothing is known of the answer while it is under way.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) invoked: u64,
    pub(crate) ask: Ask,
    pub(crate) done: Option<(u64, Deed)>,
}

/// Some accounts, and what all callers did with them.
#[derive(Debug)]
pub(crate) struct Callers {
    /// The first account's number in its shard.
    number: usize,
    accounts: Vec<AccountKey>,
    ids: AtomicU64,
    ticks: AtomicU64,
    pub(crate) answered: AtomicUsize,
    asked: Mutex<Vec<(Vec<Transfer>, Linkage)>>,
    pub(crate) written: Mutex<Vec<Written>>,
}

fn account_of(id: LedgerAccountId) -> AccountKey {
    id.key().expect("an id of an account")
}

/// Nobody opened it.
fn nobodys_account() -> AccountKey {
    let terms = (AccountType::Asset, Currency::USD, false);
    account_of(LedgerAccountId::pack(
        Timestamp::from_unix_ms(1),
        ShardId::FIRST,
        terms,
        4_000_000_000,
    ))
}

impl Callers {
    /// Opens accounts of history `n`: some without limits, some that take no overdraft, some that hold only so much.
    pub(crate) async fn open(ledger: &LedgerHandle, n: u64) -> (Arc<Self>, Ledger) {
        let (none, all) = (None, Some(0));
        let terms = [
            (AccountType::Asset, none, none),
            (AccountType::Liability, all, none),
            (AccountType::Liability, all, Some(300)),
            (AccountType::Asset, all, Some(400)),
            (AccountType::Revenue, none, none),
        ];
        let mut opened: Vec<(GeneralAccount, AccountType)> = Vec::new();
        for (place, (account_type, min_minor, max_minor)) in terms.into_iter().enumerate() {
            let open = OpenAccount {
                name: Arc::from(format!("shared:{n}:{place}")),
                account_type,
                currency: Currency::USD,
                livemode: false,
                limits: AccountLimits { min_minor, max_minor },
                metadata: Vec::new(),
                shard: ShardId::FIRST,
                by: ApiKeyId::from_bits(1),
            };
            let Opening::Opened(account) = ledger.open_account(open).await.unwrap() else {
                panic!("its name was free");
            };
            opened.push((account, account_type));
        }
        let accounts: Vec<AccountKey> = opened.iter().map(|(account, _)| account_of(account.id)).collect();
        let mut first = Ledger::at(ledger.account(accounts[0]).await.unwrap().1.unwrap());
        for ((account, account_type), key) in opened.iter().zip(&accounts) {
            let grows_by_debit = matches!(account_type, AccountType::Asset | AccountType::Expense);
            first.open(*key, grows_by_debit, account.limits);
        }
        let callers = Self {
            number: usize::try_from(opened[0].0.id.number()).unwrap(),
            accounts,
            ids: AtomicU64::new(n << 32),
            ticks: AtomicU64::new(0),
            answered: AtomicUsize::new(0),
            asked: Mutex::default(),
            written: Mutex::default(),
        };
        (Arc::new(callers), first)
    }

    pub(crate) fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    fn new_id(&self) -> TransferId {
        TransferId(u128::from(self.ids.fetch_add(1, Ordering::SeqCst)))
    }

    /// The calls that were answered, in the order in which they were made.
    pub(crate) fn history(&self) -> Vec<Call> {
        let written = lock(&self.written);
        let answered = written.iter().filter_map(|call| {
            let (returned, deed) = call.done.clone()?;
            Some(Call {
                invoked: call.invoked,
                returned,
                deed,
            })
        });
        answered.collect()
    }

    fn pair(&self, random: &mut Random) -> TransferLegs {
        let count = self.accounts.len();
        let (first, apart) = (random.below(count), 1 + random.below(count - 1));
        let [mut debit, mut credit] = [self.accounts[first], self.accounts[(first + apart) % count]];
        match random.below(60) {
            0 => debit = nobodys_account(),
            1 => credit = nobodys_account(),
            2 => credit = debit,
            _ => {}
        }
        TransferLegs::Pair {
            debit,
            credit,
            amount: random.amount(),
        }
    }

    /// Two debits and one credit, or the other way round.
    fn split(&self, random: &mut Random) -> TransferLegs {
        let first = random.below(self.accounts.len());
        let parts = [random.amount(), random.amount()];
        let whole = Amount::new(parts[0].minor() + parts[1].minor()).unwrap();
        let (of_parts, of_whole) = if random.below(2) == 0 {
            (Side::Debit, Side::Credit)
        } else {
            (Side::Credit, Side::Debit)
        };
        let leg = |offset: usize, side, amount| Posting {
            account: self.accounts[(first + offset) % self.accounts.len()],
            side,
            amount,
        };
        TransferLegs::Many(vec![
            leg(0, of_parts, parts[0]),
            leg(1, of_whole, whole),
            leg(2, of_parts, parts[1]),
        ])
    }

    /// An earlier transfer that `wanted` picks, whatever became of it.
    fn earlier(&self, random: &mut Random, wanted: impl Fn(&Transfer) -> bool) -> Option<Transfer> {
        let asked = lock(&self.asked);
        let all: Vec<Transfer> = asked
            .iter()
            .rev()
            .flat_map(|(transfers, _)| transfers)
            .filter(|transfer| wanted(transfer))
            .take(8)
            .cloned()
            .collect();
        random.one_of(&all)
    }

    fn transfer(&self, random: &mut Random, within: &[Transfer]) -> Transfer {
        let is_pending = |transfer: &Transfer| matches!(transfer.step, TransferStep::Pending { .. });
        let plain = |step, legs| Transfer {
            id: self.new_id(),
            step,
            legs,
            linked: false,
            is_payout: false,
            effective: None,
            notes: None,
        };
        let legs = |random: &mut Random| match random.below(6) {
            0 => self.split(random),
            _ => self.pair(random),
        };
        let expires_at = None;
        match random.below(100) {
            0..34 => plain(TransferStep::Single, legs(random)),
            34..40 => {
                let pair = |transfer: &Transfer| matches!(transfer.legs, TransferLegs::Pair { .. });
                let Some(earlier) = self.earlier(random, pair) else {
                    return plain(TransferStep::Single, legs(random));
                };
                let TransferLegs::Pair {
                    debit,
                    credit,
                    amount,
                } = earlier.legs
                else {
                    return earlier;
                };
                let back = TransferLegs::Pair {
                    debit: credit,
                    credit: debit,
                    amount,
                };
                plain(TransferStep::Revert { reverts: earlier.id }, back)
            }
            40..60 => plain(TransferStep::Pending { expires_at }, legs(random)),
            60..82 => {
                let own = within.iter().find(|transfer| is_pending(transfer)).cloned();
                let pending = own.or_else(|| self.earlier(random, is_pending));
                let pending = pending.map_or_else(|| self.new_id(), |pending| pending.id);
                let part = (random.below(2) == 0).then(|| random.amount());
                let step = match random.below(3) {
                    0 => TransferStep::Void { pending },
                    _ => TransferStep::Post { pending },
                };
                plain(step, TransferLegs::OfPending(part))
            }
            82..94 => {
                let again = self.earlier(random, |_| true);
                again.unwrap_or_else(|| plain(TransferStep::Single, self.pair(random)))
            }
            94..97 => {
                let same = within.first().cloned().or_else(|| self.earlier(random, |_| true));
                same.unwrap_or_else(|| plain(TransferStep::Single, self.pair(random)))
            }
            _ => {
                let id = self.earlier(random, |_| true).map(|transfer| transfer.id);
                let mut other = plain(TransferStep::Single, self.pair(random));
                other.id = id.unwrap_or(other.id);
                other
            }
        }
    }

    fn ask(&self, random: &mut Random) -> Ask {
        let is_pending = |transfer: &Transfer| matches!(transfer.step, TransferStep::Pending { .. });
        match random.below(100) {
            0..15 => return Ask::Account(self.accounts[random.below(self.accounts.len())]),
            15..22 => return Ask::AllAccounts,
            22..30 => {
                if let Some(pending) = self.earlier(random, is_pending) {
                    return Ask::Reservation(pending.id);
                }
            }
            30..38 => {
                // The same request again, as after a lost answer.
                let again = random.one_of(&lock(&self.asked));
                if let Some((asked, linkage)) = again {
                    return Ask::Transfers {
                        asked,
                        linkage,
                        is_dry_run: false,
                    };
                }
            }
            _ => {}
        }
        let count = match random.below(10) {
            0..6 => 1,
            more => more - 4,
        };
        let mut asked: Vec<Transfer> = Vec::new();
        for place in 0..count {
            let transfer = self.transfer(random, &asked);
            let odds = if place + 1 == count { 12 } else { 2 };
            asked.push(Transfer {
                linked: random.below(odds) == 0,
                is_payout: false,
                ..transfer
            });
        }
        let linkage = if random.below(5) == 0 {
            Linkage::Atomic
        } else {
            Linkage::Independent
        };
        let is_dry_run = random.below(12) == 0;
        lock(&self.asked).push((asked.clone(), linkage));
        Ask::Transfers {
            asked,
            linkage,
            is_dry_run,
        }
    }

    /// Asks and writes down; `false` if no answer came.
    async fn call(&self, ledger: &LedgerHandle, ask: Ask) -> bool {
        let place = {
            let mut written = lock(&self.written);
            written.push(Written {
                invoked: self.tick(),
                ask: ask.clone(),
                done: None,
            });
            written.len() - 1
        };
        let answered = self.answer(ledger, ask).await;
        let returned = self.tick();
        match answered {
            Ok(deed) => lock(&self.written)[place].done = Some((returned, deed)),
            Err(LedgerError::Gone) => return false,
            Err(error) => panic!("the ledger has room, and its journal can be read: {error}"),
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
        true
    }

    async fn answer(&self, ledger: &LedgerHandle, ask: Ask) -> Result<Deed, LedgerError> {
        Ok(match ask {
            Ask::Transfers {
                asked,
                linkage,
                is_dry_run,
            } => {
                let request = request(asked.clone(), linkage, is_dry_run);
                Deed::Transfers {
                    answer: ledger.transfer(request).await?,
                    asked,
                    linkage,
                    is_dry_run,
                }
            }
            Ask::Account(key) => {
                let (state, seq) = ledger.account(key).await?;
                let seen = vec![(key, Standing::of(&state))];
                let seq = seq.expect("one shard has it");
                Deed::Balances { seen, seq }
            }
            Ask::AllAccounts => self.balances(ledger).await?,
            Ask::Reservation(id) => {
                let pending = ledger.pending(id).await?;
                let legs = pending.map(|pending| {
                    let postings = pending.postings.iter();
                    postings
                        .map(|leg| (leg.account, leg.side, leg.amount.minor()))
                        .collect()
                });
                Deed::Reservation { id, seen: legs }
            }
        })
    }

    /// How all accounts stand together.
    pub(crate) async fn balances(&self, ledger: &LedgerHandle) -> Result<Deed, LedgerError> {
        let before = self.number.checked_sub(1).map(|number| {
            let terms = (AccountType::Asset, Currency::USD, false);
            LedgerAccountId::pack(
                Timestamp::default(),
                ShardId::FIRST,
                terms,
                u32::try_from(number).unwrap(),
            )
        });
        let page = ledger.general_accounts(before, self.accounts.len()).await?;
        let seq = page[0].2;
        assert!(page.iter().all(|row| row.2 == seq), "they were seen at once");
        let seen = page
            .iter()
            .map(|(account, state, _)| (account_of(account.id), Standing::of(state)));
        Ok(Deed::Balances {
            seen: seen.collect(),
            seq,
        })
    }

    /// So many callers, each with so many calls one after the other; a caller who gets no answer gives up.
    pub(crate) fn start(
        self: &Arc<Self>,
        ledger: &LedgerHandle,
        seed: u64,
        (callers, calls): (u64, usize),
    ) -> Vec<JoinHandle<()>> {
        let one = |caller| {
            let (callers, ledger) = (Arc::clone(self), ledger.clone());
            tokio::spawn(async move {
                let mut random = Random(seed * 1000 + caller);
                for _ in 0..calls {
                    let ask = callers.ask(&mut random);
                    if !callers.call(&ledger, ask).await {
                        return;
                    }
                    for _ in 0..random.below(3) {
                        tokio::task::yield_now().await;
                    }
                }
            })
        };
        (0..callers).map(one).collect()
    }
}

pub(crate) fn request(transfers: Vec<Transfer>, linkage: Linkage, is_dry_run: bool) -> TransferRequest {
    TransferRequest {
        transfers,
        linkage,
        is_dry_run,
        by: ApiKeyId::from_bits(1),
    }
}

/// Asks for one transfer by itself.
pub(crate) async fn ask_alone(ledger: &LedgerHandle, transfer: Transfer) -> Answer {
    let alone = Transfer {
        linked: false,
        is_payout: false,
        ..transfer
    };
    let asked = ledger.transfer(request(vec![alone], Linkage::Independent, false));
    asked.await.unwrap()
}
