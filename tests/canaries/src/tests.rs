//! What is planted is found, and what looks like it is not.

use super::*;
use std::path::PathBuf;

const NUMBER: &str = "4242424242424242";

fn found(text: &str) -> Vec<String> {
    in_bytes(text.as_bytes())
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let chunks = bytes.chunks(3).map(|chunk| {
        let bits = (0..3).fold(0, |bits, n| {
            bits << 8 | u32::from(chunk.get(n).copied().unwrap_or_default())
        });
        let letter = |n: u32| char::from(LETTERS[(bits >> (18 - 6 * n)) as usize % 64]);
        (0..4).map(letter).collect::<String>()
    });
    chunks.collect()
}

#[test]
fn a_card_number_is_found_in_every_form() {
    // Of digits, the second half of each byte is the digit.
    let hex: String = NUMBER.chars().flat_map(|digit| ['3', digit]).collect();
    for form in [
        format!("number={NUMBER}&"),
        format!("x{NUMBER}9"),
        "4242 4242 4242 4242".to_owned(),
        "4242-4242-4242-4242".to_owned(),
        "\"4000000000000002\"".to_owned(),
        "number=4000 0000 0000 0002&".to_owned(),
        hex.clone(),
        format!("a{hex}f"),
    ] {
        assert!(!found(&form).is_empty(), "{form}");
        assert!(!found(&form).concat().contains(NUMBER), "{form}");
    }
    for before in ["", "a", "ab", "abc"] {
        let form = format!("\"{}\"", base64(format!("{before}{NUMBER}}}").as_bytes()));
        assert!(!found(&form).is_empty(), "{form}");
    }
}

#[test]
fn a_code_and_a_secret_are_found_where_they_are_named() {
    for form in [
        r#""cvc":"917""#,
        r#"{\"cvc\": \"9170\"}"#,
        "cvc=917&",
        "card[cvc]=917",
        "card%5Bcvc%5D=917",
        "Card { cvc: Some(\"917\") }",
        "security_code: 917",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "Bearer sk_live_01m7y92a930001k836eeyy2z3p",
        "ok_test_01m7y92a930001k836eeyy2z3p",
    ] {
        assert!(!found(form).is_empty(), "{form}");
    }
}

#[test]
fn what_is_no_secret_is_not_found() {
    for form in [
        "sk_test_florin_dev ok_test_florin_dev whsec_... whsec_short",
        r#"{"code":"incorrect_cvc","message":"The security code is wrong.","at":1795238734}"#,
        r#""cvc_check":"pass","cvc":null"#,
        "cvc 9171234",
        "9223372036854775807 1795238734872502123 424242424242",
        "4242 4242 4242 and 4242",
        "\"ch_05ad8e4000000000000002\" \"ch_4000000000000002\" \"ch_05ad84000000000000002\"",
        "2026-11-22T23:41:13.872502Z 127.0.0.1:18080",
    ] {
        assert_eq!(found(form), [] as [String; 0], "{form}");
    }
}

#[test]
fn a_folder_is_looked_at_to_its_last_file_and_across_parts() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("a/b");
    fs::create_dir_all(&below).unwrap();
    fs::write(below.join("clean"), vec![0; 3 * PART_BYTES]).unwrap();
    let clean = in_folder(folder.path()).unwrap();
    assert_eq!((clean.files, clean.found.len()), (1, 0));
    for (n, start) in [0, 5, PART_BYTES - 8, PART_BYTES, 2 * PART_BYTES - 15]
        .into_iter()
        .enumerate()
    {
        let mut bytes = vec![0; 2 * PART_BYTES + 3];
        bytes[start..start + NUMBER.len()].copy_from_slice(NUMBER.as_bytes());
        fs::write(below.join(format!("planted-{n}")), bytes).unwrap();
        let looked = in_folder(folder.path()).unwrap();
        assert_eq!(
            (looked.files, looked.found.len()),
            (2 + n, 1 + n),
            "{:?}",
            looked.found
        );
    }
    assert!(
        in_folder(&folder.path().join("nowhere"))
            .unwrap()
            .found
            .is_empty()
    );
}

#[test]
fn every_card_number_that_a_real_node_could_meet_is_known() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut sources: Vec<PathBuf> = [
        "README.md",
        "docs",
        "sandbox/src",
        "tests/browser",
        "tests/it",
        "tests/sdk",
        "xtask/src",
    ]
    .map(|path| root.join(path))
    .into();
    let mut read = 0;
    while let Some(path) = sources.pop() {
        if path.is_dir() {
            sources.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let words = text.split(|each: char| !each.is_ascii_alphanumeric() && each != '_' && each != '.');
        for word in
            words.filter(|word| is_card_number(word) && word.bytes().all(|each| each.is_ascii_digit()))
        {
            assert!(
                NUMBERS.contains(&word),
                "{word} of {} is not in NUMBERS",
                path.display()
            );
            read += 1;
        }
    }
    assert!(read > 50, "{read}");
    for number in NUMBERS {
        assert!(is_card_number(number), "{number}");
    }
}
