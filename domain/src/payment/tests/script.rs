//! A small language for lives of payments: steps separated by `;`, each a command or an outcome.
//!
//! ```text
//! create sale|auth [await] [review|hold|block]     confirm [review|block]     redrive [OP]     approve     reject     check
//! draft sale|auth [await] [method]            amend AMOUNT|- [method] [named]
//! capture N AMOUNT|all [final]                refund N AMOUNT|all        void N           reference OP
//! OP[#ATTEMPT] OUTCOME [rev N]                later HOURS
//! OP[#ATTEMPT] close|not-closed|give-up       OP[#ATTEMPT] hear OUTCOME       OP[#ATTEMPT] back REFERENCE AMOUNT OUTCOME|-
//! ```
//! `OP` is `auth`, `capN`, `refN`, `voidN`, `incN` or `revN`; `OUTCOME` is `ok[=TRANSACTION]`, `wrong` (another amount), `declined`, `action`,
//! `pending`, `cancelled[=TRANSACTION]`, `not-sent`, `limited`, `rejected` or `unknown`. `@b` sends to provider b; the payment is of 1,000.

use super::super::{
    Amendment, AttemptPlan, CaptureMethod, Command, Decision, DeclinePolicy, Device, Effect, Event,
    FeeReturn, Payment, Refusal, ReversalPlan, ReviewMode, Spec, Undoing, decide, evolve_all,
};
use super::invariants;
use crate::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use crate::ids::{CaptureId, IncrementId, MerchantId, OperationId, PaymentId, RefundId, ReversalId, VoidId};
use crate::ledger::PostingProfile;
use crate::limits::Lifetimes;
use crate::method::PaymentMethod;
use crate::money::{Amount, Currency, FeeSchedule};
use crate::provider::{Outcome, ProviderId};
use crate::risk::{Action, Assessment, CardBar};
use crate::routing::Wishes;
use crate::time::{Millis, Timestamp};
use rust_decimal::Decimal;
use std::sync::Arc;

pub(crate) const PAYMENT: PaymentId = PaymentId::from_bits(1);
pub(crate) const MERCHANT: MerchantId = MerchantId::from_bits(2);
pub(crate) const TOTAL_MINOR: i128 = 1_000;

pub(crate) fn provider(name: &str) -> ProviderId {
    ProviderId::parse(name).unwrap()
}

pub(crate) fn amount(minor: i128) -> Amount {
    Amount::new(minor).unwrap()
}

pub(crate) fn spec() -> Spec {
    Spec {
        id: PAYMENT,
        merchant: MERCHANT,
        livemode: false,
        key: IdempotencyKey::parse("order-1").unwrap(),
        key_digest: KeyDigest([1; 16]),
        fingerprint: Fingerprint([2; 16]),
        amount: amount(TOTAL_MINOR),
        currency: Currency::USD,
        capture_method: CaptureMethod::Automatic,
        after_decline: DeclinePolicy::Fail,
        customer: None,
        description: None,
        metadata: Vec::new(),
        return_url: None,
        device: Device::default(),
        fee: FeeSchedule::new(290, Decimal::new(30, 2)).unwrap(),
        fee_return: FeeReturn::Kept,
        routing: Wishes::default(),
        off_session: false,
        created_at: Timestamp::from_unix_ms(1_000_000),
    }
}

pub(crate) fn plan(provider_name: &str, now: Timestamp) -> AttemptPlan {
    AttemptPlan {
        provider: provider(provider_name),
        key: "key".into(),
        deadline: now.plus(Millis::from_s(1800)),
        route: None,
    }
}

pub(crate) fn assessment(action: Action) -> Assessment {
    Assessment {
        score_bps: 2_000,
        action,
        reasons: Vec::new(),
        listed: None,
    }
}

pub(crate) fn method() -> PaymentMethod {
    PaymentMethod::test("pm_card_visa").unwrap()
}

/// The id of an operation by its short name; `cap1` is the capture with the bits 1.
pub(crate) fn operation_id(name: &str) -> OperationId {
    let digits = name.trim_start_matches(char::is_alphabetic);
    let bits = || digits.parse::<u128>().unwrap();
    match name.strip_suffix(digits).unwrap() {
        "auth" => OperationId::Authorize(PAYMENT),
        "cap" => OperationId::Capture(CaptureId::from_bits(bits())),
        "ref" => OperationId::Refund(RefundId::from_bits(bits())),
        "inc" => OperationId::Increment(IncrementId::from_bits(bits())),
        "rev" => OperationId::Reversal(ReversalId::from_bits(bits())),
        "void" => OperationId::Void(VoidId::from_bits(bits())),
        kind => panic!("no kind of operation: {kind}"),
    }
}

/// A payment under test, with everything that has happened to it.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) spec: Spec,
    pub(crate) payment: Option<Payment>,
    pub(crate) events: Vec<Event>,
    /// When each of them was decided.
    pub(super) times: Vec<Timestamp>,
    pub(crate) now: Timestamp,
    pub(crate) review: ReviewMode,
    pub(crate) profile: PostingProfile,
    /// What a random life begins with.
    pub(crate) begins_as_draft: bool,
}

impl Script {
    pub(crate) fn new() -> Self {
        let spec = spec();
        let now = spec.created_at;
        Self {
            spec,
            payment: None,
            events: Vec::new(),
            times: Vec::new(),
            now,
            review: ReviewMode::BeforeAuth,
            profile: PostingProfile::default(),
            begins_as_draft: false,
        }
    }

    /// An id that no step names: each is used for one void only.
    pub(crate) fn next_void(&self) -> VoidId {
        let operations = self
            .payment
            .as_ref()
            .map_or(0, |payment| payment.operations.len());
        VoidId::from_bits(900 + operations as u128)
    }

    /// The same under an id of its own.
    pub(crate) fn next_reversal(&self, target: (OperationId, u32)) -> Option<ReversalPlan> {
        let operations = &self.payment.as_ref()?.operations;
        let reversals = operations.iter().filter(|op| op.reverses.is_some()).count();
        self.reversal(reversals as u128 + 1, target, None)
    }

    /// How the shell would have a success of this attempt given back, if it is late; elsewhere than it should, if `at` says so.
    pub(crate) fn reversal(
        &self,
        id: u128,
        (operation, number): (OperationId, u32),
        at: Option<&str>,
    ) -> Option<ReversalPlan> {
        let payment = self.payment.as_ref()?;
        let made_at = payment.would_reverse(operation, number);
        Some(ReversalPlan {
            id: ReversalId::from_bits(id),
            plan: plan(
                at.or(made_at.as_ref().map(ProviderId::as_str)).unwrap_or("a"),
                self.now,
            ),
        })
    }

    /// After `steps`, all of which must be allowed.
    pub(crate) fn after(steps: &str) -> Self {
        let mut script = Self::new();
        script.run(steps);
        script
    }

    pub(crate) fn run(&mut self, steps: &str) {
        for step in steps.split(';').map(str::trim).filter(|step| !step.is_empty()) {
            if let Err(refusal) = self.step(step) {
                panic!("`{step}` in `{steps}` is refused: {refusal}");
            }
        }
    }

    pub(crate) fn state(&self) -> &Payment {
        self.payment.as_ref().unwrap()
    }

    /// What one step comes to: `event event !alert => status`, or `refused code`.
    pub(crate) fn then(&mut self, step: &str) -> String {
        let decision = match self.step(step) {
            Ok(decision) => decision,
            Err(refusal) => return format!("refused {}", refusal.code()),
        };
        let events = decision.events.iter().map(|event| event.name().to_owned());
        let alerts = decision.effects.iter().filter_map(|effect| match effect {
            Effect::Alert(alert) => Some(format!("!{alert}")),
            Effect::Call(_) | Effect::Query(_) | Effect::Close(_) => None,
        });
        let happened: Vec<String> = events.chain(alerts).collect();
        let happened = if happened.is_empty() {
            "nothing".to_owned()
        } else {
            happened.join(" ")
        };
        format!("{happened} => {}", self.state().status.as_str())
    }

    fn step(&mut self, step: &str) -> Result<Decision, Refusal> {
        if let Some(hours) = step.strip_prefix("later ") {
            self.now = self
                .now
                .plus(Millis::from_s(hours.parse::<u64>().unwrap() * 3600));
            return Ok(Decision::default());
        }
        let command = self.command(step);
        self.decide(command)
    }

    /// Decides and folds, and checks what must hold after every commit.
    pub(crate) fn decide(&mut self, command: Command) -> Result<Decision, Refusal> {
        let decision = decide(self.payment.as_ref(), command, &Lifetimes::STANDARD, self.now)?;
        let after = evolve_all(self.payment.clone(), &decision.events, self.now)
            .expect("what was decided can follow");
        if let Some(after) = &after {
            invariants::check(after);
            invariants::check_effects(&decision, after);
        }
        self.payment = after;
        self.keep(&decision);
        Ok(decision)
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one flat table: every word with its command"
    )]
    pub(crate) fn command(&self, step: &str) -> Command {
        let mut tokens: Vec<&str> = step.split_whitespace().collect();
        let at = tokens.iter().position(|token| token.starts_with('@'));
        let plan = plan(at.map_or("a", |at| &tokens.remove(at)[1..]), self.now);
        let flag = |flag: &str| tokens.contains(&flag);
        let action = match (flag("review") || flag("hold"), flag("block")) {
            (false, false) => Action::Allow,
            (true, _) => Action::Review,
            (false, true) => Action::Block,
        };
        let barred = flag("barred").then_some(CardBar::Month);
        let assessment = assessment(action);
        let bits = |text: &str| text.parse::<u128>().unwrap();
        let minor = |text: &str| (text != "all").then(|| amount(text.parse().unwrap()));
        match *tokens {
            ["amend", minor_or_none, ..] => Command::Amend(Amendment {
                amount: (minor_or_none != "-").then(|| amount(minor_or_none.parse().unwrap())),
                method: flag("method").then(|| PaymentMethod::test("pm_card_amex").unwrap()),
                description: flag("named").then(|| Some("renamed".into())),
                metadata: Vec::new(),
            }),
            [word @ ("create" | "draft"), capture, ..] => {
                let mut spec = self.spec.clone();
                spec.capture_method = if capture == "sale" {
                    CaptureMethod::Automatic
                } else {
                    CaptureMethod::Manual
                };
                spec.after_decline = if flag("await") {
                    DeclinePolicy::AwaitMethod
                } else {
                    DeclinePolicy::Fail
                };
                if word == "draft" {
                    return Command::Draft {
                        spec: Arc::new(spec),
                        method: flag("method").then(method),
                        profile: self.profile,
                    };
                }
                Command::Create {
                    spec: Arc::new(spec),
                    method: method(),
                    assessment,
                    plan,
                    barred,
                    review: if flag("hold") {
                        ReviewMode::AuthAndHold
                    } else {
                        self.review
                    },
                    profile: self.profile,
                }
            }
            ["confirm", ..] => {
                let method = PaymentMethod::test("pm_card_mastercard").unwrap();
                Command::Confirm {
                    method,
                    assessment,
                    plan,
                    barred,
                }
            }
            ["redrive"] | ["redrive", "barred"] => Command::Redrive { plan, barred },
            ["redrive", operation] => Command::RedriveOperation {
                operation: operation_id(operation),
                plan,
            },
            ["approve"] | ["approve", "barred"] => Command::ApproveReview {
                plan,
                barred,
                capture: CaptureId::from_bits(900),
            },
            ["reject"] => Command::RejectReview {
                plan,
                void: self.next_void(),
            },
            ["check"] => Command::CheckDeadlines {
                plan,
                void: self.next_void(),
            },
            ["capture", id, amount, ..] => {
                let id = CaptureId::from_bits(bits(id));
                Command::Capture {
                    id,
                    amount: minor(amount),
                    is_final: flag("final"),
                    plan,
                }
            }
            ["increment", id, total] => Command::Increment {
                id: IncrementId::from_bits(bits(id)),
                total: minor(total).expect("an increment names its total"),
                plan,
            },
            ["void", id] => Command::Void {
                id: VoidId::from_bits(bits(id)),
                plan,
            },
            ["refund", id, amount] => {
                let id = RefundId::from_bits(bits(id));
                Command::Refund {
                    id,
                    amount: minor(amount),
                    reason: Some("returned".into()),
                    plan,
                }
            }
            ["reference", target] => {
                let (operation, number) = self.target(target);
                Command::Reference {
                    operation,
                    number,
                    reference: "pi_early".into(),
                }
            }
            [target, "back", reference, minor, unheard] => {
                let (operation, number) = self.target(target);
                Command::TakeBack(Undoing {
                    operation,
                    number,
                    amount: amount(minor.parse().unwrap()),
                    reference: reference.into(),
                    unheard: (unheard != "-").then(|| self.outcome(operation, number, unheard)),
                })
            }
            [target, "close"] => {
                let (operation, number) = self.target(target);
                Command::AskClosing { operation, number }
            }
            [target, "not-closed"] => {
                let (operation, number) = self.target(target);
                Command::ClosingRefused { operation, number }
            }
            [target, "give-up"] => {
                let (operation, number) = self.target(target);
                Command::GiveUpChallenge { operation, number }
            }
            [target, "hear", outcome] => {
                let (operation, number) = self.target(target);
                Command::Hear {
                    operation,
                    number,
                    outcome: self.outcome(operation, number, outcome),
                    reversal: self.next_reversal((operation, number)),
                }
            }
            [target, outcome, "rev", id] => {
                let (operation, number) = self.target(target);
                let elsewhere = step.split_once('@').map(|(_, name)| name);
                Command::Record {
                    operation,
                    number,
                    outcome: self.outcome(operation, number, outcome),
                    next: None,
                    reversal: self.reversal(bits(id), (operation, number), elsewhere),
                }
            }
            [target, outcome] => {
                let (operation, number) = self.target(target);
                Command::Record {
                    operation,
                    number,
                    outcome: self.outcome(operation, number, outcome),
                    next: at.map(|_| plan),
                    reversal: None,
                }
            }
            _ => panic!("no step: {step}"),
        }
    }

    fn target(&self, text: &str) -> (OperationId, u32) {
        let (name, number) = text.split_once('#').unwrap_or((text, ""));
        let operation = operation_id(name);
        let latest = self
            .payment
            .as_ref()
            .and_then(|payment| payment.operation(operation))
            .map(|op| op.attempts);
        (operation, number.parse().ok().or(latest).unwrap_or(1))
    }

    fn outcome(&self, operation: OperationId, number: u32, text: &str) -> Outcome {
        let reference = || Arc::from(format!("pi_{operation}_{number}"));
        let amount_minor = self
            .payment
            .as_ref()
            .and_then(|payment| payment.operation(operation))
            .map_or(TOTAL_MINOR, |op| op.amount.minor());
        let reason = Arc::from("connection reset");
        match text.split_once('=').unwrap_or((text, "")) {
            ("ok", "") => {
                let transaction = Arc::from(format!("ch_{operation}_{number}"));
                Outcome::Succeeded {
                    reference: reference(),
                    transaction,
                    amount_minor,
                }
            }
            ("ok", transaction) => Outcome::Succeeded {
                reference: reference(),
                transaction: transaction.into(),
                amount_minor,
            },
            ("wrong", _) => Outcome::Succeeded {
                reference: reference(),
                transaction: "ch_wrong".into(),
                amount_minor: amount_minor + 1,
            },
            ("declined", code) => Outcome::declined(
                if code.is_empty() {
                    "insufficient_funds"
                } else {
                    code
                }
                .into(),
                None,
            ),
            ("action", _) => Outcome::ActionRequired {
                reference: reference(),
                redirect_url: None,
            },
            ("pending", _) => Outcome::Pending {
                reference: reference(),
            },
            ("cancelled", "") => Outcome::Cancelled { reference: None },
            ("cancelled", transaction) => Outcome::Cancelled {
                reference: Some(transaction.into()),
            },
            ("not-sent", _) => Outcome::not_sent(reason),
            ("limited", _) => Outcome::RateLimited {
                retry_after: Millis::from_s(1),
            },
            ("rejected", _) => Outcome::rejected(reason),
            ("unknown", _) => Outcome::Unknown {
                reason,
                reference: None,
            },
            (outcome, _) => panic!("no outcome: {outcome}"),
        }
    }
}

/// Rows of (given, when, then): the first column is run, and the second comes to the third.
pub(crate) fn check(rows: &[(&str, &str, &str)]) {
    for (given, when, then) in rows {
        assert_eq!(
            Script::after(given).then(when),
            *then,
            "given `{given}` when `{when}`"
        );
    }
}
