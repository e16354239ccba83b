//! The simulated Nameless: what it takes and how it refuses. Its state, its plans and its answers belong in a folder beside this file, in
//! the shape of `adyen`: a pure `decide`, a line for the witness, and `apply`.

#![cfg_attr(not(test), expect(dead_code, reason = "no route leads here yet"))]

use serde_json::{Value, json};

/// A request as a typed call: one variant for each.
#[derive(Debug)]
pub(crate) enum Call {}

/// A refusal in Nameless's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    code: &'static str,
    message: &'static str,
}

impl Refusal {
    pub(crate) const UNAUTHORIZED: Self = Self::new(401, "unauthorized", "The key is missing");
    pub(crate) const NOT_FOUND: Self = Self::new(404, "not_found", "There is no such resource");

    const fn new(status: u16, code: &'static str, message: &'static str) -> Self {
        Self {
            status,
            code,
            message,
        }
    }

    pub(crate) fn body(self) -> Value {
        json!({ "code": self.code, "message": self.message })
    }
}

/// `path` is what follows `/nameless`.
pub(crate) fn parse(path: &str, has_key: bool) -> Result<Call, Refusal> {
    if !has_key {
        return Err(Refusal::UNAUTHORIZED);
    }
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.as_slice() {
        [] | [..] => Err(Refusal::NOT_FOUND),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_imitated_is_not_there() {
        assert_eq!(parse("/payments", false).unwrap_err(), Refusal::UNAUTHORIZED);
        let refusal = parse("/payments", true).unwrap_err();
        assert_eq!(
            (refusal.status, &refusal.body()["code"]),
            (404, &json!("not_found"))
        );
    }
}
