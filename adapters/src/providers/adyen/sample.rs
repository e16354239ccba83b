//! For the tests of this adapter: attempts as Adyen knows them, and answers in the shape of its specification.

use crate::providers::connection::Reply;
use crate::providers::sample;
use florin_domain::payment::OperationKind;
use florin_domain::ports::AttemptRequest;

pub(super) use crate::providers::sample::line;

pub(super) const PSP: &str = "GF4HBGNJ6TJZNN82";
pub(super) const OURS: &str = "pay_00000000000000000000000007.flo_k";

pub(super) fn attempt(kind: OperationKind) -> AttemptRequest {
    sample::attempt(kind, PSP, 1500)
}

pub(super) fn payload(name: &str) -> String {
    sample::payload("adyen", name)
}

pub(super) fn reply(status: u16, name: &str) -> Reply {
    sample::reply(status, &payload(name))
}
