//! Owns division of money: rounding by a named mode with its residue, and splitting a whole into parts that add up to it.

use std::cmp::{Ordering, Reverse};
use std::num::NonZeroU128;

use super::MoneyOverflow;

/// Where a quotient goes that lies between two integers.
///
/// All modes are symmetric around zero: a refund rounds to exactly the opposite of its charge.
///
/// ```
/// use florin_domain::money::{Rounding, round_div};
///
/// let of_five_halves = |mode| round_div(5, 2, mode).map(|(quotient, _)| quotient);
/// assert_eq!(of_five_halves(Rounding::HalfEven), Ok(2));
/// assert_eq!(of_five_halves(Rounding::HalfUp), Ok(3));
/// assert_eq!(of_five_halves(Rounding::Up), Ok(3));
/// assert_eq!(of_five_halves(Rounding::Down), Ok(2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Rounding {
    /// To the nearest, a half to the even neighbour: no drift over many payments.
    #[default]
    HalfEven,
    /// To the nearest, a half away from zero: the rounding of invoices.
    HalfUp,
    /// Away from zero.
    Up,
    /// Toward zero.
    Down,
}

/// Divides and rounds; answers `(quotient, residue)` where `residue = quotient * denominator - numerator`.
///
/// The residue is in units of the numerator: positive is what rounding added, negative what it dropped, and it is always
/// smaller in magnitude than the denominator. Whoever rounds money that is divided among accounts posts it.
///
/// ```
/// use florin_domain::money::{Rounding, round_div};
///
/// assert_eq!(round_div(1000, 3, Rounding::Down), Ok((333, -1)));
/// assert_eq!(round_div(1000, 3, Rounding::Up), Ok((334, 2)));
/// assert_eq!(round_div(-7, 2, Rounding::HalfUp), Ok((-4, -1)));
/// ```
///
/// # Errors
/// [`MoneyOverflow`] if the denominator is zero, or the quotient is 2^127 (the least `i128` divided by -1).
pub fn round_div(numerator: i128, denominator: i128, mode: Rounding) -> Result<(i128, i128), MoneyOverflow> {
    let toward_zero = numerator.checked_div(denominator).ok_or(MoneyOverflow)?;
    let dropped = numerator.checked_rem(denominator).ok_or(MoneyOverflow)?;
    // Both distances to the neighbouring multiples, as magnitudes: neither can overflow, whatever the signs.
    let below = dropped.unsigned_abs();
    let above = denominator
        .unsigned_abs()
        .checked_sub(below)
        .ok_or(MoneyOverflow)?;
    let away = below != 0
        && match mode {
            Rounding::Down => false,
            Rounding::Up => true,
            Rounding::HalfUp => below >= above,
            Rounding::HalfEven => match below.cmp(&above) {
                Ordering::Less => false,
                Ordering::Greater => true,
                Ordering::Equal => toward_zero % 2 != 0,
            },
        };
    if !away {
        return Ok((toward_zero, dropped.checked_neg().ok_or(MoneyOverflow)?));
    }
    let step = if (numerator < 0) == (denominator < 0) {
        1
    } else {
        -1
    };
    let quotient = toward_zero.checked_add(step).ok_or(MoneyOverflow)?;
    let added = i128::try_from(above).map_err(|_| MoneyOverflow)?;
    Ok((
        quotient,
        if numerator < 0 {
            added.checked_neg().ok_or(MoneyOverflow)?
        } else {
            added
        },
    ))
}

/// Splits `total` in proportion to `weights`, by largest remainder: the parts add up to the total exactly.
///
/// Each part is its exact share rounded toward zero; the units that are left go one each to the largest remainders, equal
/// remainders to the lower index. A weight of zero gets nothing, unless all are zero: then the split is even. A negative
/// total splits to the opposite of the positive one.
///
/// ```
/// use florin_domain::money::allocate;
///
/// assert_eq!(allocate(100, &[1, 1, 1]), [34, 33, 33]);
/// assert_eq!(allocate(-5, &[3, 0, 7]), [-2, 0, -3]);
/// ```
///
/// # Panics
/// If there are no weights but something to split: an empty answer would lose it.
pub fn allocate(total: i128, weights: &[u32]) -> Vec<i128> {
    assert!(
        total == 0 || !weights.is_empty(),
        "money to allocate, and nobody to allocate it to"
    );
    match NonZeroU128::new(weights.iter().copied().map(u128::from).sum()) {
        Some(weight_sum) => allocate_by(total, weights, weight_sum),
        None if weights.is_empty() => Vec::new(),
        None => allocate(total, &vec![1; weights.len()]),
    }
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "bounds stand beside each operation"
)]
fn allocate_by(total: i128, weights: &[u32], weight_sum: NonZeroU128) -> Vec<i128> {
    // Magnitudes, because the remainder of a signed division has the sign of the total. Dividing first keeps products small.
    let magnitude = total.unsigned_abs();
    let (per_weight, rest) = (magnitude / weight_sum, magnitude % weight_sum);
    let mut remainders = Vec::with_capacity(weights.len());
    let mut parts: Vec<u128> = Vec::with_capacity(weights.len());
    for weight in weights.iter().copied().map(u128::from) {
        // rest < weight_sum < 2^93, as a slice of u32 has less than 2^61 elements: the product is below 2^125.
        let share = rest * weight;
        remainders.push(share % weight_sum);
        // At most the magnitude: weight <= weight_sum.
        parts.push(per_weight * weight + share / weight_sum);
    }
    // The parts sum to at most the magnitude; fewer units are left than there are remainders above zero.
    let left = magnitude - parts.iter().sum::<u128>();
    let mut by_remainder: Vec<usize> = (0..parts.len()).collect();
    by_remainder.sort_by_key(|index| Reverse(remainders[*index]));
    for index in by_remainder
        .into_iter()
        .take(usize::try_from(left).unwrap_or(usize::MAX))
    {
        parts[index] += 1;
    }
    // A part of 2^127 exists only if the total is the least i128, where wrapping yields exactly that.
    parts
        .into_iter()
        .map(|part| {
            if total < 0 {
                part.cast_signed().wrapping_neg()
            } else {
                part.cast_signed()
            }
        })
        .collect()
}
