//! How payments are booked: whose sale it is and when the fee is earned. A profile names one template for each step in the life of
//! a payment, and the life is checked: the fee is recognised once, and a refund takes back all that the payment did.

use super::account::{AccountName, Side};
use super::template::{Measure, Recognition, Stage, Template, TemplateLine, payment_template};
use crate::ids::MerchantId;
use crate::provider::ProviderId;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use thiserror::Error;

/// Whose sale a payment is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PostingModel {
    /// The merchant's: the platform owes it the money and earns a fee.
    #[default]
    Marketplace,
    /// Ours: all of it is our revenue, and nobody is owed anything.
    MerchantOfRecord,
}

/// When a marketplace earns its fee.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum FeeRecognition {
    /// When the customer's money is taken.
    #[default]
    AtPayment,
    /// When the merchant is settled with.
    AtSettlement,
}

/// By which rule a payment is booked, for all of its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PostingProfile {
    /// Whose sale it is.
    pub posting: PostingModel,
    /// When the fee is earned.
    pub fee_recognition: FeeRecognition,
}

impl PostingModel {
    /// The word on the wire and in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Marketplace => "marketplace",
            Self::MerchantOfRecord => "merchant_of_record",
        }
    }
}

impl FeeRecognition {
    /// The word on the wire and in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtPayment => "at_payment",
            Self::AtSettlement => "at_settlement",
        }
    }
}

/// Why templates are no life of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LifeError {
    /// Two steps earn the same fee.
    #[error(
        "the fee would be recognised twice: template `{first}` recognises it on `{first_on}` and template `{second}` again on `{second_on}`"
    )]
    Twice {
        /// The template that comes first.
        first: Arc<str>,
        /// On which account.
        first_on: Arc<str>,
        /// The one that comes later.
        second: Arc<str>,
        /// On which account.
        second_on: Arc<str>,
    },
    /// One step earns it more than once, or less than not at all.
    #[error("template `{template}` recognises the fee {times} times by itself, on `{on}`")]
    AtOnce {
        /// The template.
        template: Arc<str>,
        /// On which account.
        on: Arc<str>,
        /// How often.
        times: i64,
    },
    /// A step in which nothing can be earned.
    #[error("template `{template}` recognises a fee on `{on}`, and nothing is earned by a {stage}")]
    Misplaced {
        /// The template.
        template: Arc<str>,
        /// On which account.
        on: Arc<str>,
        /// Which step.
        stage: Stage,
    },
    /// There is a fee, and no step earns it.
    #[error("the fee would never be recognised: neither by template `{payment}` nor by template `{later}`")]
    Never {
        /// The template of the payment.
        payment: Arc<str>,
        /// The one of the settlement, or what comes last.
        later: Arc<str>,
    },
    /// A payout from where the settlement has left nothing.
    #[error(
        "template `{payout}` pays from `{role}`, which template `{settlement}` has emptied: what is due is where that one put it"
    )]
    Emptied {
        /// The template of the payout.
        payout: Arc<str>,
        /// Whose account it takes from.
        role: String,
        /// The template of the settlement.
        settlement: Arc<str>,
    },
    /// A fee that is given back beside a refund that does so already.
    #[error(
        "the fee would be returned twice: template `{first}` returns it with the refund and template `{second}` again"
    )]
    ReturnedTwice {
        /// The template of the refund.
        first: Arc<str>,
        /// The one beside it.
        second: Arc<str>,
    },
    /// What a refund leaves behind.
    #[error("template `{refund}` does not reverse template `{payment}`: `{parameter}` stays on `{role}`")]
    NotReversed {
        /// The template of the refund.
        refund: Arc<str>,
        /// The template of the payment.
        payment: Arc<str>,
        /// Whose account is not back where it was.
        role: String,
        /// By which parameter.
        parameter: String,
    },
}

/// What a template recognises in all, and the first account on which it does.
fn recognised(template: &Template) -> Option<(i64, Arc<str>)> {
    let parts = template.recognises();
    let times = parts
        .iter()
        .fold(0_i64, |sum, part| sum.saturating_add(part.times));
    let first = parts.into_iter().max_by_key(|part| part.times);
    first.map(|Recognition { role, .. }| (times, role))
}

/// A template that recognises the fee, and on whose account.
struct Recogniser {
    name: Arc<str>,
    on: Arc<str>,
}

/// The templates that recognise the fee, each with the account; at most one is in order.
fn recognisers(life: &[&Template]) -> Result<Vec<Recogniser>, LifeError> {
    let mut found: Vec<Recogniser> = Vec::new();
    for template in life {
        let Some((times, on)) = recognised(template) else {
            continue;
        };
        let name = Arc::clone(&template.terms().name);
        match (template.terms().stage, times) {
            (Some(Stage::Refund), ..=0)
            | (Some(Stage::LateCharge | Stage::Payment | Stage::Settlement | Stage::Payout) | None, 0) => {}
            (Some(stage @ (Stage::Refund | Stage::LateCharge)), _) => {
                let template = name;
                return Err(LifeError::Misplaced { template, on, stage });
            }
            (Some(Stage::Payment | Stage::Settlement | Stage::Payout) | None, 1) => {
                found.push(Recogniser { name, on });
            }
            (Some(Stage::Payment | Stage::Settlement | Stage::Payout) | None, times) => {
                let template = name;
                return Err(LifeError::AtOnce { template, on, times });
            }
        }
    }
    match found.as_slice() {
        [first, second, ..] => Err(LifeError::Twice {
            first: Arc::clone(&first.name),
            first_on: Arc::clone(&first.on),
            second: Arc::clone(&second.name),
            second_on: Arc::clone(&second.on),
        }),
        _ => Ok(found),
    }
}

/// The role that a payout takes from although a settlement takes from it as well and gives it nothing.
fn emptied<'a>(settlement: &Template, payout: &'a Template) -> Option<&'a str> {
    let of = |template: &Template, role: &str| {
        let credits = template.credits().into_iter();
        let of_role = credits.filter(|((name, _), _)| *name == role);
        of_role.fold(0_i64, |sum, (_, credit)| sum.saturating_add(credit))
    };
    let roles = payout.terms().roles.iter().map(|(role, _)| &**role);
    let mut paying = roles.filter(|role| of(payout, role) < 0);
    paying.find(|role| of(settlement, role) < 0)
}

/// Checks templates that together book the life of a payment, in the order of their stages: the fee is recognised once, neither
/// twice nor never, a full refund that returns it leaves every account where it was, and the payout pays what the settlement made due.
///
/// # Errors
/// See [`LifeError`].
pub fn check_life(life: &[&Template]) -> Result<(), LifeError> {
    let found = recognisers(life)?;
    let of = |stage| life.iter().find(|template| template.terms().stage == Some(stage));
    if found.is_empty()
        && let (Some(payment), Some(last)) = (of(Stage::Payment), life.last())
    {
        return Err(LifeError::Never {
            payment: Arc::clone(&payment.terms().name),
            later: Arc::clone(&of(Stage::Settlement).unwrap_or(last).terms().name),
        });
    }
    if let (Some(payment), Some(refund)) = (of(Stage::Payment), of(Stage::Refund)) {
        check_reversed(payment, refund)?;
    }
    match (of(Stage::Settlement), of(Stage::Payout)) {
        (Some(settlement), Some(payout)) => match emptied(settlement, payout) {
            Some(role) => Err(LifeError::Emptied {
                payout: Arc::clone(&payout.terms().name),
                role: role.to_owned(),
                settlement: Arc::clone(&settlement.terms().name),
            }),
            None => Ok(()),
        },
        (Some(_) | None, _) => Ok(()),
    }
}

fn check_reversed(payment: &Template, refund: &Template) -> Result<(), LifeError> {
    let mut left: BTreeMap<(&str, &str), i64> = payment.credits();
    for (key, credit) in refund.credits() {
        let sum = left.entry(key).or_default();
        *sum = sum.saturating_add(credit);
    }
    match left.into_iter().find(|(_, sum)| *sum != 0) {
        None => Ok(()),
        Some(((role, parameter), _)) => Err(LifeError::NotReversed {
            refund: Arc::clone(&refund.terms().name),
            payment: Arc::clone(&payment.terms().name),
            role: role.to_owned(),
            parameter: parameter.to_owned(),
        }),
    }
}

fn measures(template: &Template, measure: Measure) -> bool {
    let mut parameters = template.terms().parameters.iter();
    parameters.any(|(_, other)| *other == measure)
}

impl PostingProfile {
    /// The names of the templates of a payment's life. Nobody is settled with, nor paid out to, for what is our own sale; taking a
    /// fee at settlement all the same makes a life that the check refuses.
    pub const fn names(self) -> &'static [&'static str] {
        match (self.posting, self.fee_recognition) {
            (PostingModel::Marketplace, FeeRecognition::AtPayment) => &[
                "payment_with_fee",
                "refund_with_fee",
                "late_charge",
                "settlement",
                "settled_payout",
            ],
            (PostingModel::Marketplace, FeeRecognition::AtSettlement) => &[
                "payment_gross",
                "refund_gross",
                "late_charge",
                "settlement_with_fee",
                "settled_payout",
            ],
            (PostingModel::MerchantOfRecord, FeeRecognition::AtPayment) => {
                &["payment_recorded", "refund_recorded", "late_charge"]
            }
            (PostingModel::MerchantOfRecord, FeeRecognition::AtSettlement) => &[
                "payment_recorded",
                "refund_recorded",
                "late_charge",
                "settlement_with_fee",
            ],
        }
    }

    /// The templates of a payment's life, in its order.
    pub fn life(self) -> Vec<&'static Template> {
        let template = |name: &&str| payment_template(name).expect("every profile names standard templates");
        self.names().iter().map(template).collect()
    }

    /// Checks the profile's life, see [`check_life`].
    ///
    /// # Errors
    /// A merchant of record that takes its fee at settlement earns it twice.
    pub fn check(self) -> Result<(), LifeError> {
        check_life(&self.life())
    }

    /// Whether `template` may be posted while payments are booked by this profile: in the place of the profile's own template for
    /// its stage, it must not make the fee recognised twice, nor never where it has one.
    ///
    /// # Errors
    /// See [`LifeError`].
    pub fn check_fits(self, template: &Template) -> Result<(), LifeError> {
        let Some(stage) = template.terms().stage else {
            return Ok(());
        };
        if stage == Stage::Refund && !measures(template, Measure::Gross) {
            return self.check_beside_refund(template);
        }
        let mut life = self.life();
        life.retain(|other| other.terms().stage != Some(stage));
        // A payout from where money is before it is settled is instead of the settlement, and of what that would earn.
        if stage == Stage::Payout {
            life.retain(|other| {
                other.terms().stage != Some(Stage::Settlement) || emptied(other, template).is_none()
            });
        }
        let mut life: Vec<&Template> = life.into_iter().chain([template]).collect();
        life.sort_by_key(|template| template.terms().stage);
        let found = recognisers(&life)?;
        let earns = matches!(stage, Stage::Payment | Stage::Settlement | Stage::Payout);
        let had_fee = stage == Stage::Payout || measures(template, Measure::Fee);
        if earns && found.is_empty() && had_fee {
            let of = |stage| life.iter().find(|template| template.terms().stage == Some(stage));
            let name = |stage| Arc::clone(&of(stage).unwrap_or(&template).terms().name);
            return Err(LifeError::Never {
                payment: name(Stage::Payment),
                later: name(Stage::Settlement),
            });
        }
        Ok(())
    }

    /// What is posted besides the profile's own refund gives the fee back at most once, and only where that one does not.
    fn check_beside_refund(self, template: &Template) -> Result<(), LifeError> {
        let Some((times, on)) = recognised(template) else {
            return Ok(());
        };
        let name = Arc::clone(&template.terms().name);
        match times {
            0 => return Ok(()),
            -1 => {}
            1.. => {
                let (template, stage) = (name, Stage::Refund);
                return Err(LifeError::Misplaced { template, on, stage });
            }
            ..-1 => {
                let template = name;
                return Err(LifeError::AtOnce { template, on, times });
            }
        }
        let life = self.life();
        let mut refunds = life
            .iter()
            .filter(|other| other.terms().stage == Some(Stage::Refund));
        let returns = |refund: &&&Template| recognised(refund).is_some_and(|(times, _)| times < 0);
        match refunds.find(returns) {
            Some(first) => Err(LifeError::ReturnedTwice {
                first: Arc::clone(&first.terms().name),
                second: name,
            }),
            None => Ok(()),
        }
    }

    /// Whether a merchant is owed anything.
    pub const fn owes_merchant(self) -> bool {
        match self.posting {
            PostingModel::Marketplace => true,
            PostingModel::MerchantOfRecord => false,
        }
    }

    /// What its template for the taking of money posts.
    pub(super) fn payment_lines(self) -> &'static [PaymentLine] {
        let found = PAYMENT_LINES.iter().find(|(profile, _)| *profile == self);
        found.map_or(&[], |(_, lines)| lines.as_slice())
    }
}

/// An account of payments, before it is known whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Customer,
    Merchant,
    PlatformFee,
    PaymentRevenue,
}

/// One line of what taking money posts: the template's, in the terms of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PaymentLine {
    place: Place,
    /// On which side.
    pub(super) side: Side,
    gross: i128,
    fee: i128,
}

impl PaymentLine {
    /// The account, which for the customer's side is what the provider owes us.
    pub(super) const fn account(self, merchant: MerchantId, provider: ProviderId) -> AccountName {
        match self.place {
            Place::Customer => AccountName::ProviderClearing(provider),
            Place::Merchant => AccountName::MerchantPayable(merchant),
            Place::PlatformFee => AccountName::FeeRevenue,
            Place::PaymentRevenue => AccountName::PaymentRevenue,
        }
    }

    /// How much, in minor units; less than zero goes on the other side.
    pub(super) const fn minor(self, gross_minor: i128, fee_minor: i128) -> i128 {
        let gross = self.gross.saturating_mul(gross_minor);
        gross.saturating_add(self.fee.saturating_mul(fee_minor))
    }
}

static PAYMENT_LINES: LazyLock<Vec<(PostingProfile, Vec<PaymentLine>)>> = LazyLock::new(|| {
    let models = [PostingModel::Marketplace, PostingModel::MerchantOfRecord];
    let times = [FeeRecognition::AtPayment, FeeRecognition::AtSettlement];
    let profiles = models.into_iter().flat_map(|posting| {
        times.into_iter().map(move |fee_recognition| PostingProfile {
            posting,
            fee_recognition,
        })
    });
    profiles
        .map(|profile| (profile, payment_lines(profile)))
        .collect()
});

fn payment_lines(profile: PostingProfile) -> Vec<PaymentLine> {
    let payment = profile
        .life()
        .into_iter()
        .find(|template| template.terms().stage == Some(Stage::Payment));
    let template = payment.expect("every profile has a template for payments");
    let weight = |weights: &[i64], name: &str| {
        let parameters = template.terms().parameters.iter();
        let place = parameters
            .map(|(parameter, _)| &**parameter)
            .position(|parameter| parameter == name);
        let weight = place.and_then(|place| weights.get(place));
        weight.map_or(0, |weight| i128::from(*weight))
    };
    let line = |(line, weights): (&TemplateLine, &[i64])| PaymentLine {
        place: match &*line.role {
            "customer" => Place::Customer,
            "merchant_receivable" => Place::Merchant,
            "platform_fee" => Place::PlatformFee,
            _ => Place::PaymentRevenue,
        },
        side: line.side,
        gross: weight(weights, "gross"),
        fee: weight(weights, "fee"),
    };
    template.weighted().map(line).collect()
}
