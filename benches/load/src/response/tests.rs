//! Answers whole, cut at every offset, and malformed.

use super::*;

const OK: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\nContent-Type: application/json\r\n\r\n{\"status\":\"ok\"}";

fn keep(status: u16) -> Answer {
    Answer { status, close: false }
}

/// Answers that must read the same however they are cut.
fn whole_answers() -> Vec<(&'static [u8], Answer)> {
    vec![
        (OK, keep(200)),
        (b"HTTP/1.1 402 Payment Required\r\nContent-Length: 2\r\n\r\n{}", keep(402)),
        (b"HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n", keep(204)),
        (b"HTTP/1.1 500\r\nContent-Length:0\r\n\r\n", keep(500)),
        (b"HTTP/1.1 200 \r\nCONTENT-LENGTH: \t3 \r\n\r\n\r\n\r", keep(200)),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx", keep(201)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", keep(200)),
        (
            b"HTTP/1.1 503 Service Unavailable\r\nConnection: foo, Close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
            Answer { status: 503, close: true },
        ),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", Answer { status: 200, close: true }),
    ]
}

#[test]
fn an_answer_reads_the_same_cut_at_every_offset() {
    for (bytes, expected) in whole_answers() {
        for cut in 0..=bytes.len() {
            let mut parser = ResponseParser::new();
            let mut got = parser.feed(&bytes[..cut]).unwrap();
            assert_eq!(
                got.is_some(),
                cut == bytes.len(),
                "cut at {cut}: {}",
                bytes.escape_ascii()
            );
            if cut < bytes.len() {
                got = parser.feed(&bytes[cut..]).unwrap();
            }
            assert_eq!(got, Some(expected), "cut at {cut}: {}", bytes.escape_ascii());
        }
    }
}

#[test]
fn an_answer_reads_the_same_byte_by_byte_and_twice_on_one_connection() {
    for (bytes, expected) in whole_answers() {
        let mut parser = ResponseParser::new();
        for _ in 0..2 {
            let (last, start) = bytes.split_last().unwrap();
            for byte in start {
                assert_eq!(parser.feed(&[*byte]).unwrap(), None, "{}", bytes.escape_ascii());
            }
            assert_eq!(
                parser.feed(&[*last]).unwrap(),
                Some(expected),
                "{}",
                bytes.escape_ascii()
            );
        }
    }
}

#[test]
fn malformed_answers_are_refused() {
    let table: [(&[u8], ResponseError); 14] = [
        (
            b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
            ResponseError::StatusLine,
        ),
        (
            b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
            ResponseError::StatusLine,
        ),
        (
            b"HTTP/1.1 2000\r\nContent-Length: 0\r\n\r\n",
            ResponseError::StatusLine,
        ),
        (
            b"HTTP/1.1 600 No\r\nContent-Length: 0\r\n\r\n",
            ResponseError::StatusLine,
        ),
        (b"\r\n\r\n", ResponseError::StatusLine),
        (
            b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
            ResponseError::Header,
        ),
        (b"HTTP/1.1 200 OK\r\n\r\n", ResponseError::ContentLength),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
            ResponseError::ContentLength,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            ResponseError::ContentLength,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            ResponseError::ContentLength,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
            ResponseError::ContentLength,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            ResponseError::TransferEncoding,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy",
            ResponseError::Surplus,
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\nx", ResponseError::Surplus),
    ];
    for (bytes, expected) in table {
        assert_eq!(
            ResponseParser::new().feed(bytes),
            Err(expected),
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn a_head_without_end_is_refused_at_its_limit() {
    let mut parser = ResponseParser::new();
    assert_eq!(parser.feed(b"HTTP/1.1 200 OK\r\nX: "), Ok(None));
    let filler = [b'x'; 1024];
    let refused_after = (0..100).find(|_| parser.feed(&filler).is_err()).unwrap();
    assert_eq!(refused_after, HEAD_BYTES_MAX / filler.len() - 1);
}

#[test]
fn the_head_end_is_found_at_every_distance() {
    for length in 0..64 {
        for filler in [b'x', b'\r', b'\n'] {
            let mut bytes = vec![filler; length];
            bytes.push(b'y');
            assert_eq!(head_length(&bytes), None);
            bytes.extend_from_slice(HEAD_END);
            bytes.extend_from_slice(b"rest\r\n\r\n");
            assert_eq!(head_length(&bytes), Some(length + 5), "{}", bytes.escape_ascii());
        }
    }
}
