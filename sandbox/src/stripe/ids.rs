//! Ids: a prefix, the salt of the log, and the number of the line that made the object. So ids repeat neither within a log nor
//! between logs, and an id leads to its object without an index of strings.

use std::fmt;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    salt: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Id {
    prefix: &'static str,
    salt: u32,
    seq: u64,
}

impl Ids {
    pub(crate) fn new(salt: u32) -> Self {
        Self { salt }
    }

    pub(crate) fn intent(self, seq: u64) -> Id {
        self.id("pi_", seq)
    }

    pub(crate) fn charge(self, seq: u64) -> Id {
        self.id("ch_", seq)
    }

    pub(crate) fn refund(self, seq: u64) -> Id {
        self.id("re_", seq)
    }

    pub(crate) fn transaction(self, seq: u64) -> Id {
        self.id("txn_", seq)
    }

    pub(crate) fn request(self, seq: u64) -> Id {
        self.id("req_", seq)
    }

    pub(crate) fn event(self, number: u64) -> Id {
        self.id("evt_", number)
    }

    fn id(self, prefix: &'static str, seq: u64) -> Id {
        Id {
            prefix,
            salt: self.salt,
            seq,
        }
    }

    pub(crate) fn parse_intent(self, text: &str) -> Option<u64> {
        self.parse("pi_", text)
    }

    pub(crate) fn parse_charge(self, text: &str) -> Option<u64> {
        self.parse("ch_", text)
    }

    pub(crate) fn parse_refund(self, text: &str) -> Option<u64> {
        self.parse("re_", text)
    }

    /// Only the exact spelling of an id counts, so that one object has one name.
    fn parse(self, prefix: &'static str, text: &str) -> Option<u64> {
        let digits = text.strip_prefix(prefix)?.get(8..)?;
        let seq = u64::from_str_radix(digits, 16).ok()?;
        (self.id(prefix, seq).to_string() == text).then_some(seq)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:08x}{:016x}", self.prefix, self.salt, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_again_only_under_its_exact_spelling() {
        let ids = Ids::new(0xabcd_0123);
        let id = ids.intent(77).to_string();
        assert_eq!(id, "pi_abcd0123000000000000004d");
        assert_eq!(ids.parse_intent(&id), Some(77));
        for other in [
            "",
            "pi_",
            "pi_abcd0123",
            "ch_abcd0123000000000000004d",
            "pi_abcd0123000000000000004D",
            "pi_abcd012300000000000004d",
            "pi_abcd0124000000000000004d",
            "pi_abcd0123+00000000000004d",
            "pi_äbcd0123000000000000004d",
        ] {
            assert_eq!(ids.parse_intent(other), None, "{other}");
        }
    }
}
