//! One typed call for each endpoint: commands, which execute something, and queries.

use super::metadata::MetadataPatch;
use super::methods::TestMethod;
use super::objects::{CancellationReason, CaptureMethod, Currency, RefundReason};

#[derive(Debug, Clone)]
pub(crate) enum Call {
    Command(Command),
    Query(Query),
}

#[derive(Debug, Clone)]
pub(crate) enum Command {
    Create(Create),
    Confirm(Confirm),
    Capture(Capture),
    Cancel(Cancel),
    Increment(Increment),
    Refund(CreateRefund),
    /// From the challenge page, not from the API.
    Authenticate(Authenticate),
}

#[derive(Debug, Clone)]
pub(crate) enum Query {
    Retrieve {
        id: Box<str>,
        expand_charge: bool,
    },
    RetrieveRefund {
        id: Box<str>,
    },
    List(List),
    ListRefunds(ListRefunds),
    Search {
        operation_id: Box<str>,
        limit: usize,
        expand_charge: bool,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Create {
    pub(crate) amount_minor: u64,
    pub(crate) currency: Currency,
    pub(crate) capture_method: CaptureMethod,
    pub(crate) method: Option<TestMethod>,
    pub(crate) customer: Option<Box<str>>,
    pub(crate) description: Option<Box<str>>,
    pub(crate) metadata: MetadataPatch,
    pub(crate) card_options: CardOptions,
    pub(crate) confirm: bool,
    pub(crate) challenge: ChallengeTerms,
    pub(crate) expand_charge: bool,
}

/// What a confirmation says for the case that the customer must prove who they are.
#[derive(Debug, Clone)]
pub(crate) struct ChallengeTerms {
    /// Decline instead.
    pub(crate) is_error: bool,
    pub(crate) return_url: Option<Box<str>>,
}

/// What `payment_method_options[card]` asks for; none leaves it as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CardOptions {
    pub(crate) multicapture: Option<bool>,
    pub(crate) incremental: Option<bool>,
}

#[derive(Debug, Clone)]
pub(crate) struct Confirm {
    pub(crate) id: Box<str>,
    pub(crate) method: Option<TestMethod>,
    pub(crate) capture_method: Option<CaptureMethod>,
    pub(crate) card_options: CardOptions,
    pub(crate) challenge: ChallengeTerms,
    pub(crate) expand_charge: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Capture {
    pub(crate) id: Box<str>,
    /// All that is left, when absent.
    pub(crate) amount_minor: Option<u64>,
    /// Releases what is left after this capture.
    pub(crate) is_final: bool,
    pub(crate) metadata: MetadataPatch,
    pub(crate) expand_charge: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Cancel {
    pub(crate) id: Box<str>,
    pub(crate) reason: Option<CancellationReason>,
    pub(crate) expand_charge: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Increment {
    pub(crate) id: Box<str>,
    /// The new total.
    pub(crate) amount_minor: u64,
    pub(crate) metadata: MetadataPatch,
    pub(crate) expand_charge: bool,
}

/// How a challenge ends.
#[derive(Debug, Clone)]
pub(crate) struct Authenticate {
    pub(crate) id: Box<str>,
    pub(crate) passed: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct CreateRefund {
    pub(crate) target: RefundTarget,
    pub(crate) amount_minor: Option<u64>,
    pub(crate) reason: Option<RefundReason>,
    pub(crate) metadata: MetadataPatch,
}

#[derive(Debug, Clone)]
pub(crate) enum RefundTarget {
    Intent(Box<str>),
    Charge(Box<str>),
}

#[derive(Debug, Clone)]
pub(crate) struct List {
    pub(crate) limit: usize,
    pub(crate) starting_after: Option<Box<str>>,
    /// Unix seconds, inclusive.
    pub(crate) created_from: u64,
    /// Unix seconds, inclusive.
    pub(crate) created_to: u64,
    pub(crate) expand_charge: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct ListRefunds {
    /// Of this intent only.
    pub(crate) intent: Option<Box<str>>,
    pub(crate) limit: usize,
    pub(crate) starting_after: Option<Box<str>>,
}
