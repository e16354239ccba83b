//! Bytes that are no proper HTTP, and attempts to hide one request in another. Behind each hides a payment under the key that must stay free.

use super::{Hostile, Refusal, bytes, named, usual};
use crate::deployment::sale;

/// The head of a payment up to its framing, which follows.
fn head() -> String {
    let whole = String::from_utf8(bytes("POST", "/v1/payments", &usual(), b"")).unwrap();
    whole.replace("Content-Length: 0\r\n\r\n", "")
}

/// Framing headers, what follows the head, and who refuses it.
fn framed(name: &str, framing: &str, rest: &str, refusal: Refusal) -> Hostile {
    Hostile {
        name: name.to_owned(),
        bytes: format!("{}{framing}\r\n{rest}", head()).into_bytes(),
        refusal,
    }
}

/// Lengths that are none.
const LENGTHS: &[&str] = &[
    "-1",
    "+5",
    "0x10",
    "5 5",
    "5,5",
    "5.0",
    "1e2",
    "five",
    "",
    "99999999999999999999999",
    "\u{665}",
];

/// Encodings that are not read.
const ENCODINGS: &[&str] = &[
    "gzip",
    "gzip, chunked",
    "chunked, gzip",
    "chunked, chunked",
    "xchunked",
    "chunked;q=1",
    "\"chunked\"",
    "chunked\u{b}",
    "",
];

/// Chunks that are none, before the payment.
const CHUNKS: &[&str] = &[
    "zz\r\n",
    "-1\r\n",
    "0x5\r\n",
    "ffffffffffffffffff\r\n",
    "\r\n",
    " \r\n",
    "5\r\nab",
    "2\r\nabcd\r\n",
    "\0\r\n",
];

/// Lines that start no request.
const STARTS: &[&str] = &[
    "\0\0\0\0\r\n\r\n",
    "\r\n\r\n\0",
    "GET\r\n\r\n",
    "GET /healthz\r\n\r\n",
    "GET  /healthz  HTTP/1.1\r\n\r\n",
    "GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n",
    "GET /healthz HTTP/1.1 x\r\nHost: a\r\n\r\n",
    "GET /healthz HTTPS/1.1\r\nHost: a\r\n\r\n",
    "GET /heal\0thz HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /heal\u{1}thz HTTP/1.1\r\nHost: a\r\n\r\n",
    "G\u{cb}T /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "(GET) /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
    "GET /healthz HTTP/1.1\r\n Host: a\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}",
    "{\"amount\":10000}",
    "SSH-2.0-OpenSSH_9.0\r\n",
];

pub(super) fn all() -> Vec<Hostile> {
    let payment = sale(10_000, "USD").to_string();
    let chunked = format!("{:x}\r\n{payment}\r\n0\r\n\r\n", payment.len());
    let length = format!("Content-Length: {}\r\n", payment.len());
    let below = || Refusal::Below;
    let mut all = Vec::new();
    for written in LENGTHS {
        let framing = format!("Content-Length: {written}\r\n");
        all.push(framed(
            &format!("a length of {written:?}"),
            &framing,
            &payment,
            below(),
        ));
    }
    for written in ENCODINGS {
        let framing = format!("Transfer-Encoding: {written}\r\n");
        all.push(framed(
            &format!("an encoding of {written:?}"),
            &framing,
            &chunked,
            below(),
        ));
    }
    for written in CHUNKS {
        let rest = format!("{written}{chunked}");
        all.push(framed(
            &format!("a chunk of {written:?}"),
            "Transfer-Encoding: chunked\r\n",
            &rest,
            below(),
        ));
    }
    for start in STARTS {
        all.push(Hostile {
            name: format!("the bytes {start:?}"),
            bytes: start.as_bytes().to_vec(),
            refusal: Refusal::Below,
        });
    }
    all.extend(smuggled(&payment, &chunked, &length));
    let mut no_text = head().into_bytes();
    no_text.extend_from_slice(b"X: \xff\x00\r\n\r\n");
    all.push(Hostile {
        name: "a header that is no text".to_owned(),
        bytes: no_text,
        refusal: Refusal::Below,
    });
    let many: Vec<String> = (0..97).map(|number| format!("X-{number}: a\r\n")).collect();
    all.push(framed(
        "97 headers and more",
        &(many.concat() + &length),
        &payment,
        below(),
    ));
    let large = format!("X: {}\r\n{length}", "x".repeat(140_000));
    all.push(framed("a header of 140 kB", &large, &payment, below()));
    all
}

/// Two ways to tell the length. Whoever is in front of us may have believed the other one.
fn smuggled(payment: &str, chunked: &str, length: &str) -> Vec<Hostile> {
    let below = || Refusal::Below;
    let encoding = "Transfer-Encoding: chunked\r\n";
    let inner = format!("0\r\n\r\n{}{length}\r\n{payment}", head());
    let mut old = framed("chunks in HTTP/1.0", encoding, chunked, below());
    old.bytes = String::from_utf8(old.bytes)
        .unwrap()
        .replace("HTTP/1.1", "HTTP/1.0")
        .into_bytes();
    let cut = "Content-Length: 5\r\n";
    vec![
        framed(
            "a length and chunks",
            &format!("{length}{encoding}"),
            chunked,
            below(),
        ),
        framed(
            "chunks and a length",
            &format!("{encoding}{length}"),
            chunked,
            below(),
        ),
        framed(
            "a request behind an empty body",
            &format!("{encoding}{cut}"),
            &inner,
            below(),
        ),
        framed(
            "a length and an identity",
            &format!("{length}Transfer-Encoding: identity\r\n"),
            payment,
            below(),
        ),
        framed(
            "chunks in capitals",
            &format!("{length}transfer-ENCODING: cHuNkEd\r\n"),
            chunked,
            below(),
        ),
        framed(
            "a length that is too short",
            cut,
            payment,
            named(400, "body_invalid"),
        ),
        framed("no length at all", "", payment, named(400, "body_invalid")),
        framed("two lengths", &format!("{cut}{length}"), payment, below()),
        framed(
            "the same length twice",
            &format!("{length}{length}"),
            payment,
            below(),
        ),
        framed("chunks twice", &format!("{encoding}{encoding}"), chunked, below()),
        framed(
            "a space before the colon",
            &format!("Transfer-Encoding : chunked\r\n{length}"),
            payment,
            below(),
        ),
        framed(
            "a folded encoding",
            &format!("Transfer-Encoding:\r\n chunked\r\n{length}"),
            payment,
            below(),
        ),
        framed(
            "a length that is too long",
            "Content-Length: 5000\r\n",
            payment,
            below(),
        ),
        old,
    ]
}
