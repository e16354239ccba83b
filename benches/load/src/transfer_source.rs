//! Requests of `POST /v1/ledger/transfers`: every one a single new transfer between two of the given accounts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::request_source::{RequestSource, push_decimal};

/// Neighbouring transfers touch distant accounts; prime.
const ACCOUNT_STRIDE: u64 = 7_919;

/// Numbers transfers from 0, over all its clones: give each generator thread a clone.
#[derive(Debug, Clone)]
pub struct TransferSource {
    counter: Arc<AtomicU64>,
    head: Arc<[u8]>,
    /// The upper half of every id: two runs against the same journal need different ones.
    run: u64,
    accounts: Arc<[String]>,
    body: Vec<u8>,
}

impl TransferSource {
    /// Transfers between `accounts`, of which there are two or more, with an operator's key.
    pub fn new(run: u64, operator_key: &str, accounts: &[String]) -> Self {
        assert!(accounts.len() > 1, "a transfer needs two accounts");
        let head = format!(
            "POST /v1/ledger/transfers HTTP/1.1\r\nHost: florin\r\nContent-Type: application/json\r\n\
             Authorization: Bearer {operator_key}\r\nContent-Length: "
        );
        Self {
            counter: Arc::new(AtomicU64::new(0)),
            head: head.into_bytes().into(),
            run,
            accounts: accounts.into(),
            body: Vec::new(),
        }
    }

    fn account(&self, number: u64) -> &[u8] {
        let index = usize::try_from(number % self.accounts.len() as u64).expect("less than a length");
        self.accounts[index].as_bytes()
    }

    fn write_body(&mut self, number: u64) {
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        body.extend_from_slice(b"{\"transfers\":[{\"id\":\"");
        body.extend_from_slice(format!("{:016x}{number:016x}", self.run).as_bytes());
        body.extend_from_slice(b"\",\"debit_account\":\"");
        let debit = number % self.accounts.len() as u64 * ACCOUNT_STRIDE;
        body.extend_from_slice(self.account(debit));
        body.extend_from_slice(b"\",\"credit_account\":\"");
        body.extend_from_slice(self.account(debit + 1));
        body.extend_from_slice(b"\",\"amount\":");
        push_decimal(&mut body, 1 + number % 10_000);
        body.extend_from_slice(b"}]}");
        self.body = body;
    }
}

impl RequestSource for TransferSource {
    fn next(&mut self, _connection: usize, out: &mut Vec<u8>) {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        self.write_body(number);
        out.extend_from_slice(&self.head);
        push_decimal(out, self.body.len() as u64);
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(&self.body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_one_transfer_under_an_id_of_its_own() {
        let accounts = ["acc_a", "acc_b", "acc_c"].map(str::to_owned);
        let mut one = TransferSource::new(7, "ok_1", &accounts);
        let mut two = one.clone();
        let mut ids = std::collections::BTreeSet::new();
        for number in 0..30 {
            let mut out = Vec::new();
            if number % 2 == 0 { &mut one } else { &mut two }.next(0, &mut out);
            let request = String::from_utf8(out).unwrap();
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(
                head.ends_with(&format!("Content-Length: {}", body.len())),
                "{head}"
            );
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            let transfer = &body["transfers"][0];
            assert_ne!(transfer["debit_account"], transfer["credit_account"]);
            assert!(ids.insert(transfer["id"].as_str().unwrap().to_owned()));
        }
    }
}
