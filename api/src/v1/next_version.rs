//! How operators put the next version of something in force: which one they have seen, from when on theirs counts, and why.

use super::EXPIRES_AT_MAX_S;
use super::list::Displayed;
use super::operator_action::action;
use crate::auth::Caller;
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{Number, Text};
use crate::openapi::{Field, count, id, may, must, or_null, reason, text, time};
use florin_actors::next_version::{NextVersion, PutError, VERSIONS_MAX};
use florin_domain::ids::ApiKeyId;
use florin_domain::time::{Millis, Timestamp};
use florin_domain::versions::Version;
use serde::Serialize;

/// What every such request says.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) expected_version: Number,
    pub(super) effective_at: Option<Number>,
    pub(super) reason: &'a Text<'a>,
}

impl Asked<'_> {
    pub(super) fn by(&self, caller: &Caller) -> Result<NextVersion, ApiError> {
        Ok(NextVersion {
            expected: expected(self.expected_version)?,
            effective_at: self.effective_at.map(begins).transpose()?,
            by: action(caller, Some(self.reason))?,
        })
    }
}

fn expected(number: Number) -> Result<u32, Invalid> {
    let whole = match number {
        Number::Whole(version) => u32::try_from(version).ok(),
        Number::Beyond { .. } | Number::Float => None,
    };
    whole.ok_or_else(|| {
        let message = "`expected_version` is the `latest_version` that you have seen, 0 or more.";
        Invalid::new("expected_version", Code::ParameterInvalidInteger, message)
    })
}

fn begins(number: Number) -> Result<Timestamp, Invalid> {
    let seconds = match number {
        Number::Whole(seconds) if (0..=EXPIRES_AT_MAX_S).contains(&seconds) => u64::try_from(seconds).ok(),
        Number::Whole(_) | Number::Beyond { .. } | Number::Float => None,
    };
    let seconds = seconds.ok_or_else(|| {
        let message = "`effective_at` is a whole number of seconds since the Unix epoch.";
        Invalid::new("effective_at", Code::ParameterInvalidInteger, message)
    })?;
    Ok(Timestamp::from_unix_ms(0).plus(Millis::from_s(seconds)))
}

/// The answer to a version that was not put in force. `stale` says what came first.
pub(super) fn refused(error: PutError, stale: impl FnOnce(u32) -> ApiError) -> ApiError {
    let at = |message: String| Invalid::new("effective_at", Code::ParameterInvalid, message).into();
    match error {
        PutError::Stale { latest } => stale(latest),
        PutError::InThePast => {
            at("`effective_at` is not in the future: what happened since would have been decided otherwise. Leave it out for at once.".to_owned())
        }
        PutError::TooMany => at(format!(
            "{VERSIONS_MAX} versions are kept already. One without `effective_at` takes the place of all of them."
        )),
        // Nobody knows whether it is in force: whoever asks again is told, if by its being stale.
        PutError::Ledger(error) => error.into(),
    }
}

/// From when on a version counts, and who decided it.
#[derive(Debug, Serialize)]
pub(super) struct DecidedBody<'a> {
    /// Nothing for at once.
    effective_at: Option<u64>,
    set_by: Option<Displayed<ApiKeyId>>,
    reason: Option<&'a str>,
}

impl<'a> DecidedBody<'a> {
    /// Of what nobody decided: nothing.
    pub(super) fn of<T>(version: Option<&'a Version<T>>) -> Self {
        Self {
            effective_at: version.and_then(|version| version.effective_at.map(Timestamp::unix_s)),
            set_by: version.map(|version| Displayed(version.by.operator)),
            reason: version.and_then(|version| version.by.reason.as_deref()),
        }
    }
}

/// The shape of what a request says of its version.
pub(super) fn asked_fields() -> [Field; 3] {
    [
        must(
            "expected_version",
            count("The version that this one is to follow: `latest_version` as it was read."),
        ),
        may(
            "effective_at",
            or_null(time(
                "From when on it counts, in the future; at once when absent or null. Versions to come that would begin then or later are called off.",
            )),
        ),
        must("reason", reason()),
    ]
}

/// The shape of [`DecidedBody`].
pub(super) fn decided_fields() -> [Field; 3] {
    [
        must(
            "effective_at",
            or_null(time("From when on it counts; null if it counted at once.")),
        ),
        must("set_by", or_null(id("Whose API key put it in force.", "key_"))),
        must("reason", or_null(text("Why."))),
    ]
}

/// The shape of the number that the next change must follow.
pub(super) fn latest_field() -> Field {
    must(
        "latest_version",
        count("The version that the next change must follow: the one in force, or the last one to come."),
    )
}
