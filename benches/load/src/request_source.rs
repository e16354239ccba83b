//! Where requests come from.

/// Makes the requests of one generator thread.
///
/// The generator asks for a request only when it is about to send it, so a source that numbers its requests
/// numbers what was really sent.
pub trait RequestSource: Send {
    /// Appends one whole HTTP/1.1 request, head and body, for `connection` (counted over all threads).
    fn next(&mut self, connection: usize, out: &mut Vec<u8>);
}

/// Appends `number` in decimal; the formatting machinery would cost more than the rest of a request.
pub(crate) fn push_decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(number % 10).expect("a digit is below 10");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_read_as_the_standard_library_writes_them() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, 1_000_000_007, u64::MAX] {
            let mut out = b"n=".to_vec();
            push_decimal(&mut out, number);
            assert_eq!(out, format!("n={number}").into_bytes());
        }
    }
}
