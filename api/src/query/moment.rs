//! A moment of the books: a commit's number, a time as RFC 3339 has it, or a day, which stands for its end.

use super::{pairs, value};
use crate::errors::{Code, Invalid};
use actix_web::HttpRequest;
use florin_actors::ledger_handle::Moment;
use florin_domain::ids::Seq;
use florin_domain::ledger::EffectiveDate;
use florin_domain::time::Timestamp;

/// Bytes of the day, in front of the time.
const DAY_BYTES: usize = 10;
const DAY_MS: i64 = 86_400_000;

/// The moment that `at` names, if it names one.
pub(crate) fn moment(request: &HttpRequest) -> Result<Option<Moment>, Invalid> {
    let pairs = pairs(request, &["at"])?;
    let Some(text) = value(&pairs, "at") else {
        return Ok(None);
    };
    let refused = || {
        let message = "`at` is the sequence number of a commit, a time such as 2026-11-21T10:00:00Z, or a day such as 2026-11-21.";
        Invalid::new("at", Code::ParameterInvalid, message)
    };
    read(text).map(Some).ok_or_else(refused)
}

pub(super) fn read(text: &str) -> Option<Moment> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Seq).map(Moment::Commit);
    }
    time(text).map(Moment::Time)
}

/// The last millisecond of a day, or the one that is named.
fn time(text: &str) -> Option<Timestamp> {
    let day = EffectiveDate::parse(text.get(..DAY_BYTES)?)?;
    let day_ms = i64::from(day.0).checked_mul(DAY_MS)?;
    let rest = text.get(DAY_BYTES..)?;
    let in_day_ms = if rest.is_empty() {
        DAY_MS.checked_sub(1)?
    } else {
        in_day_ms(rest.strip_prefix(['T', 't'])?)?
    };
    let ms = day_ms.checked_add(in_day_ms)?;
    Some(Timestamp::from_unix_ms(u64::try_from(ms).ok()?))
}

/// `10:00:00.5+01:00` in milliseconds from the start of the day in UTC.
fn in_day_ms(text: &str) -> Option<i64> {
    let zone = text.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = text.split_at_checked(zone)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = fields::<3>(clock)?;
    // The last minute of a day may have one second more.
    if hour > 23 || minute > 59 || second > 60 || fraction.is_empty() {
        return None;
    }
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: String = fraction.chars().chain("00".chars()).take(3).collect();
    let thousandths: i64 = thousandths.parse().ok().filter(|_| digits)?;
    let offset_minutes = match zone {
        "Z" | "z" => 0,
        _ => {
            let [hours, minutes] = fields::<2>(zone.strip_prefix(['+', '-'])?)?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 60 + minutes;
            if zone.starts_with('-') { -offset } else { offset }
        }
    };
    Some((((hour * 60 + minute - offset_minutes) * 60) + second) * 1_000 + thousandths)
}

/// Pairs of digits between colons.
fn fields<const COUNT: usize>(text: &str) -> Option<[i64; COUNT]> {
    let two = |part: &str| {
        let fits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| part.parse().ok()).flatten()
    };
    let read: Option<Vec<i64>> = text.split(':').map(two).collect();
    read?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_commit_a_time_or_the_end_of_a_day() {
        let at = |ms| Some(Moment::Time(Timestamp::from_unix_ms(ms)));
        for (text, expected) in [
            ("0", Some(Moment::Commit(Seq::ZERO))),
            ("18446744073709551615", Some(Moment::Commit(Seq(u64::MAX)))),
            ("18446744073709551616", None),
            ("1970-01-01", at(86_399_999)),
            ("1970-01-01T00:00:00Z", at(0)),
            ("1970-01-01T00:00:01.5Z", at(1_500)),
            ("1970-01-01t00:00:01.2345z", at(1_234)),
            ("1970-01-02T00:30:00+01:00", at(84_600_000)),
            ("1970-01-01T23:30:00-01:00", at(88_200_000)),
            ("1970-01-01T00:30:00+01:00", None),
            ("2026-11-21T10:00:00Z", at(1_795_255_200_000)),
            ("", None),
            ("-1", None),
            ("1.0", None),
            ("2026-11-21T10:00:00", None),
            ("2026-11-21T10:00Z", None),
            ("2026-11-21T24:00:00Z", None),
            ("2026-11-21T10:00:00.Z", None),
            ("2026-11-21T10:00:00.+1Z", None),
            ("2026-11-21T10:00:00+1", None),
            ("2026-11-21T10:00:00Z01:00", None),
            ("2026-11-21T10:00:00zz", None),
            ("2026-02-30T10:00:00Z", None),
            ("2026-11-2\u{e9}", None),
        ] {
            let expected = if text.is_empty() { None } else { expected };
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
