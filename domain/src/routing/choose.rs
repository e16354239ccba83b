//! The decision: wishes above rules, rules above scores, and what cannot take the charge above all of them.
//!
//! # Health
//! Among providers that are named, health changes no order. But one that is reduced or excluded keeps its place only for its share of
//! the draws; else it goes behind everybody, so it is still used rather than nobody. By score, the degraded come behind the healthy; one
//! that is reduced and keeps its place stands where its score puts it, and one that is excluded and keeps it stands first, because how it
//! does now is what its share is for, and a bad score would never let it show that.

use super::facts::Facts;
use super::program::{Order, Program, Rule, Target};
use super::wishes::Wishes;
use super::{AfterDecline, Bar, Choice, Entrant, Route};
use crate::health::Health;
use crate::ids::PaymentId;
use crate::provider::ProviderId;
use std::cmp::Reverse;
use std::sync::Arc;

/// The whole of a draw and of a share.
const WHOLE_BPS: u32 = 10_000;

/// The draw of a payment: the same for all its attempts, and for whoever looks at it again.
pub fn draw_bps(payment: PaymentId) -> u32 {
    // The low half of an id is random.
    let random = payment.bits() & u128::from(u64::MAX);
    let rest = random.checked_rem(u128::from(WHOLE_BPS));
    rest.and_then(|rest| u32::try_from(rest).ok()).unwrap_or(0)
}

/// The rule that applies to a charge. Who is pinned is asked whatever the rules say.
fn applying<'a>(program: &'a Program, facts: &Facts<'_>, wishes: &Wishes) -> Option<&'a Rule> {
    if wishes.pin.is_none() {
        program.applying(facts)
    } else {
        None
    }
}

/// What the rule that applies to a charge wants after a decline, if it says so.
pub fn after_decline(program: &Program, facts: &Facts<'_>, wishes: &Wishes) -> Option<AfterDecline> {
    applying(program, facts, wishes)?.after_decline
}

/// Who may get a charge, in which order, and why. The same draw gives the same route; draws count modulo 10,000.
pub fn route(
    program: &Program,
    facts: &Facts<'_>,
    wishes: &Wishes,
    field: &[Entrant],
    draw_bps: u32,
) -> Route {
    let draw = draw_bps.checked_rem(WHOLE_BPS).unwrap_or(0);
    let rule = applying(program, facts, wishes);
    let target = rule.map(|rule| &rule.target);
    let mut route = Route {
        rule: rule.map(|rule| Arc::clone(&rule.name)),
        after_decline: rule.and_then(|rule| rule.after_decline),
        ..Route::default()
    };
    let mut open = Vec::with_capacity(field.len());
    for entrant in field {
        let bar = wishes.bar(entrant.id);
        let bar = bar.or_else(|| not_named(target, wishes, entrant.id));
        // What would be true tomorrow as well is said first: whoever waits for a busy one that is not wanted waits in vain.
        match bar.or(entrant.bar) {
            Some(bar) => route.left_out.push((entrant.id, bar)),
            None => open.push(Standing {
                entrant,
                keeps: keeps(entrant, draw),
            }),
        }
    }
    let mut order: Vec<Standing<'_>> = Vec::with_capacity(open.len());
    take(&mut open, &wishes.prefer, &mut order);
    match target.map(|target| &target.order) {
        Some(Order::Named(names)) => take(&mut open, names, &mut order),
        Some(Order::Split(shares)) => take(&mut open, &drawn(shares, draw), &mut order),
        Some(Order::ByScore(names)) => {
            let mut group = Vec::new();
            take(&mut open, names, &mut group);
            order.extend(by_score(group));
        }
        None => {}
    }
    order.extend(by_score(open));
    let (first, mut last): (Vec<_>, Vec<_>) = order.into_iter().partition(|standing| standing.keeps);
    last.sort_by_key(|standing| standing.entrant.health);
    route.choices = first
        .into_iter()
        .chain(last)
        .map(|standing| Choice {
            provider: standing.entrant.id,
            health: standing.entrant.health,
            score: standing.entrant.score,
        })
        .collect();
    route
}

/// One that may be chosen.
#[derive(Clone, Copy, Debug)]
struct Standing<'a> {
    entrant: &'a Entrant,
    /// The draw leaves it its place.
    keeps: bool,
}

fn not_named(target: Option<&Target>, wishes: &Wishes, provider: ProviderId) -> Option<Bar> {
    let target = target.filter(|target| target.only)?;
    let is_named = target.order.named().contains(&provider) || wishes.prefer.contains(&provider);
    (!is_named).then_some(Bar::NotNamed)
}

/// Moves those that are named, in that order.
fn take<'a>(open: &mut Vec<Standing<'a>>, names: &[ProviderId], order: &mut Vec<Standing<'a>>) {
    for name in names {
        order.extend(open.extract_if(.., |standing| standing.entrant.id == *name));
    }
}

/// The one that is drawn, and the others as they stand.
fn drawn(shares: &[(ProviderId, u32)], draw: u32) -> Vec<ProviderId> {
    let mut below = 0_u32;
    let found = shares.iter().position(|(_, percent)| {
        below = below.saturating_add(percent.saturating_mul(100));
        draw < below
    });
    let mut names: Vec<ProviderId> = shares.iter().map(|(name, _)| *name).collect();
    if let Some(front) = found.and_then(|index| names.get_mut(..=index)) {
        front.rotate_right(1);
    }
    names
}

fn by_score(mut group: Vec<Standing<'_>>) -> Vec<Standing<'_>> {
    let place = |standing: &Standing<'_>| match standing.entrant.health {
        Health::Excluded => 0,
        Health::Healthy | Health::Reduced => 1,
        Health::Degraded => 2,
    };
    group.sort_by_key(|standing| (place(standing), Reverse(standing.entrant.score)));
    group
}

/// Whether a second draw, made of the first one and the name, leaves a provider its place. Over all first draws the shares are exact,
/// and over those of one part of a split nearly so: the factor has no divisor in common with 10,000 and scatters neighbours.
fn keeps(entrant: &Entrant, draw: u32) -> bool {
    const FACTOR: u32 = 3_967;
    let salt = entrant.id.as_str().bytes().fold(0_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    let salt = salt.checked_rem(WHOLE_BPS).unwrap_or(0);
    let second = draw.saturating_mul(FACTOR).saturating_add(salt);
    second
        .checked_rem(WHOLE_BPS)
        .is_some_and(|second| second < entrant.health.share_bps())
}

#[cfg(test)]
mod tests;
