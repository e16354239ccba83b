//! Owns inputs that once failed: one file each, `.hex` with digits, or `.txt` with the input as it is.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of a target.
#[derive(Debug)]
pub(crate) struct Corpus {
    folder: PathBuf,
}

impl Corpus {
    pub(crate) fn of(folder: &Path, target: &str) -> Self {
        Self {
            folder: folder.join(target),
        }
    }

    /// All inputs, in the order of their names. A folder that is not there has none.
    pub(crate) fn read(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort_unstable();
        let read = |path: PathBuf| {
            let bytes = fs::read(&path)
                .ok()
                .and_then(|bytes| match path.extension()?.to_str()? {
                    "hex" => from_hex(&bytes),
                    "txt" => Some(bytes),
                    _ => None,
                });
            match bytes {
                Some(bytes) => (path, bytes),
                None => super::fail(&format!("{} is no input of a target", path.display())),
            }
        };
        paths.into_iter().map(read).collect()
    }

    /// Keeps an input; answers where, or why not.
    pub(crate) fn keep(&self, input: &[u8]) -> String {
        // FNV-1a: the same input has the same name.
        let name = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let is_text =
            str::from_utf8(input).is_ok_and(|text| !text.contains(|c: char| c.is_control() && c != '\n'));
        let (extension, content) = if is_text {
            ("txt", input.to_vec())
        } else {
            ("hex", to_hex(input))
        };
        let path = self.folder.join(format!("{name:016x}.{extension}"));
        match fs::create_dir_all(&self.folder).and_then(|()| fs::write(&path, content)) {
            Ok(()) => format!("kept in {}, and replayed first from now on", path.display()),
            Err(error) => format!("not kept: {}: {error}", path.display()),
        }
    }
}

fn to_hex(bytes: &[u8]) -> Vec<u8> {
    let mut text = String::new();
    for line in bytes.chunks(32) {
        for byte in line {
            write!(text, "{byte:02x}").expect("a string takes all text");
        }
        text.push('\n');
    }
    text.into_bytes()
}

/// The bytes of digits, between which there may be white space.
fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let byte = |pair: &[u8]| {
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        match pair {
            [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
            _ => None,
        }
    };
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = Corpus::of(folder.path(), "x");
        assert!(corpus.read().is_empty());
        let long: Vec<u8> = (0..=255).collect();
        let inputs: [&[u8]; 4] = [b"", b"{\"a\":1}\n", b"\r\n", &long];
        for input in inputs {
            corpus.keep(input);
            corpus.keep(input);
        }
        let mut read: Vec<Vec<u8>> = corpus.read().into_iter().map(|(_, input)| input).collect();
        read.sort();
        let mut expected = inputs.map(<[u8]>::to_vec);
        expected.sort();
        assert_eq!(read, expected);
    }
}
