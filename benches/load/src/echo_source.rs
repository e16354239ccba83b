//! Requests for the echo: byte for byte those of payments but for the path, so that a comparison of the two
//! compares servers and not requests.

use crate::payment_source::PaymentSource;
use crate::request_source::RequestSource;

/// As long as the key of the test merchant, so that the requests are, too.
const API_KEY: &str = "sk_test_florin_echo";

/// `POST /echo` with the body of a payment. Clones share one numbering.
#[derive(Debug, Clone)]
pub struct EchoSource {
    requests: PaymentSource,
}

impl EchoSource {
    pub fn new() -> Self {
        let requests = PaymentSource::to_path("/echo", "echo", &[API_KEY.to_owned()])
            .expect("a constant key and prefix of visible ASCII");
        Self { requests }
    }
}

impl Default for EchoSource {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestSource for EchoSource {
    fn next(&mut self, connection: usize, out: &mut Vec<u8>) {
        self.requests.next(connection, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_path_and_key_tell_an_echo_from_a_payment() {
        let mut echo = Vec::new();
        EchoSource::new().next(0, &mut echo);
        let mut payment = Vec::new();
        PaymentSource::new("echo", &[API_KEY.to_owned()])
            .unwrap()
            .next(0, &mut payment);
        let payment = String::from_utf8(payment)
            .unwrap()
            .replace("POST /v1/payments ", "POST /echo ");
        assert_eq!(String::from_utf8(echo).unwrap(), payment);
    }
}
