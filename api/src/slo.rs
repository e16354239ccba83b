//! What a merchant's request counts as when the service is judged: declines and refusals are right answers and no failures of ours.

use actix_web::http::StatusCode;
use metrics::Counter;

/// How a request ended, as far as the service is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done as asked.
    Good,
    /// The issuer, risk or the provider said no.
    Declined,
    /// The caller's own doing: malformed, not allowed, too often, or against a payment's rules.
    Refused,
    /// Taken, and not known within the answer budget how it ended.
    Unresolved,
    /// Ours.
    Failed,
}

impl Outcome {
    const ALL: [Self; 5] = [
        Self::Good,
        Self::Declined,
        Self::Refused,
        Self::Unresolved,
        Self::Failed,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Declined => "declined",
            Self::Refused => "refused",
            Self::Unresolved => "unresolved",
            Self::Failed => "failed",
        }
    }

    /// Of an answer that says no more than its status.
    pub(crate) fn of(status: StatusCode) -> Self {
        if status == StatusCode::ACCEPTED {
            Self::Unresolved
        } else if status.is_server_error() {
            Self::Failed
        } else if status.is_client_error() {
            Self::Refused
        } else {
            Self::Good
        }
    }
}

/// Whether requests for this path count: what merchants ask does, what operators and probes ask does not.
pub(crate) fn counts(path: &str) -> bool {
    path.starts_with("/v1/") && !path.starts_with("/v1/ops/")
}

/// One counter per outcome.
#[derive(Debug)]
pub(crate) struct SloCounters([Counter; 5]);

impl SloCounters {
    pub(crate) fn new() -> Self {
        let counter =
            |outcome: Outcome| metrics::counter!("florin_slo_requests_total", "outcome" => outcome.as_str());
        Self(Outcome::ALL.map(counter))
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        let [good, declined, refused, unresolved, failed] = &self.0;
        let counter = match outcome {
            Outcome::Good => good,
            Outcome::Declined => declined,
            Outcome::Refused => refused,
            Outcome::Unresolved => unresolved,
            Outcome::Failed => failed,
        };
        counter.increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_alone_says_whose_fault_it_was() {
        let cases = [
            (200, Outcome::Good),
            (202, Outcome::Unresolved),
            (304, Outcome::Good),
            (400, Outcome::Refused),
            (429, Outcome::Refused),
            (500, Outcome::Failed),
            (503, Outcome::Failed),
        ];
        for (status, outcome) in cases {
            assert_eq!(
                Outcome::of(StatusCode::from_u16(status).unwrap()),
                outcome,
                "{status}"
            );
        }
    }

    #[test]
    fn only_what_merchants_ask_counts() {
        for path in ["/v1/payments", "/v1/payments/x/refunds", "/v1/ledger/accounts"] {
            assert!(counts(path), "{path}");
        }
        for path in [
            "/v1/ops/tree",
            "/metrics",
            "/healthz",
            "/readyz",
            "/docs/errors/",
            "/",
        ] {
            assert!(!counts(path), "{path}");
        }
    }
}
