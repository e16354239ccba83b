//! The name of each answer, for support and logs: a prefix drawn at start and a count.

use actix_web::http::header::HeaderValue;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

tokio::task_local! {
    static CURRENT: HeaderValue;
}

/// Runs a request under its id.
pub(crate) fn named<F: Future>(id: HeaderValue, request: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(id, request)
}

/// The id of the request that is being answered, for the log.
pub(crate) fn current() -> String {
    let text = CURRENT.try_with(|id| id.to_str().map(str::to_owned));
    text.ok().and_then(Result::ok).unwrap_or_default()
}

/// Makes the values of `Request-Id`.
#[derive(Debug)]
pub(crate) struct RequestIds {
    prefix: String,
    next: AtomicU64,
}

impl RequestIds {
    /// Ids that no other process makes, as far as `seed` is random.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            prefix: format!("req_{seed:016x}"),
            next: AtomicU64::new(1),
        }
    }

    /// The next id.
    pub(crate) fn next(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut text = String::with_capacity(self.prefix.len().saturating_add(16));
        text.push_str(&self.prefix);
        write!(text, "{number:08x}").expect("a string takes every text");
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("req_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn whoever_works_on_a_request_knows_its_id() {
        let id = RequestIds::new(1).next();
        let told = actix_web::rt::System::new().block_on(named(id.clone(), async { current() }));
        assert_eq!(told, id.to_str().unwrap());
        assert_eq!(current(), "", "outside of any request");
    }

    #[test]
    fn ids_never_repeat_and_differ_between_processes() {
        let (a, b) = (RequestIds::new(1), RequestIds::new(2));
        let ids: HashSet<String> = (0..1000)
            .flat_map(|_| [a.next(), b.next()])
            .map(|id| id.to_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids.len(), 2000);
        assert!(
            ids.contains("req_000000000000000100000001"),
            "{:?}",
            ids.iter().next()
        );
    }
}
