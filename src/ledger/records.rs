//! Reads the records of a file one by one, whatever its size: lines of JSON, or CSV as RFC 4180 has it. Each knows its first line.

use std::io::{self, BufRead};

/// Bytes of one record at most, so that a file without line breaks does not fill the memory.
const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// Why no record can be read.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The file cannot be read.
    Io(io::Error),
    /// What is there is no record.
    Malformed(&'static str),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A file, line by line.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    file: R,
    /// Of the line read last, from 1.
    number: u64,
    /// Bytes read so far.
    pub(crate) read: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(file: R) -> Self {
        Self {
            file,
            number: 0,
            read: 0,
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The next line with its line break; `false` at the end.
    fn next_into(&mut self, line: &mut Vec<u8>) -> Result<bool, Broken> {
        let before = line.len();
        let room = (RECORD_BYTES_MAX + 1).saturating_sub(before);
        let mut limited = io::Read::take(&mut self.file, room as u64);
        let count = limited.read_until(b'\n', line)?;
        if count == 0 {
            return Ok(false);
        }
        self.number += 1;
        self.read += count as u64;
        if line.len() > RECORD_BYTES_MAX {
            return Err(Broken::Malformed("it is longer than a mebibyte"));
        }
        if self.number == 1 && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        Ok(true)
    }

    /// The next line that is not blank, and its number.
    pub(crate) fn next_text(&mut self) -> Result<Option<(u64, String)>, Broken> {
        loop {
            let mut line = Vec::new();
            if !self.next_into(&mut line)? {
                return Ok(None);
            }
            let text = utf8(line)?;
            if !text.trim().is_empty() {
                return Ok(Some((self.number, text)));
            }
        }
    }

    /// The next line of cells, which may span lines of the file, and the number of its first one. Blank lines are passed over.
    pub(crate) fn next_cells(&mut self) -> Result<Option<(u64, Vec<String>)>, Broken> {
        loop {
            let (mut bytes, first) = (Vec::new(), self.number + 1);
            if !self.next_into(&mut bytes)? {
                return Ok(None);
            }
            // A line break within quotes belongs to the cell.
            let mut is_quoted = is_quoted_after(&bytes, false);
            while is_quoted {
                let read = bytes.len();
                if !self.next_into(&mut bytes)? {
                    return Err(Broken::Malformed("a quote is not closed"));
                }
                is_quoted = is_quoted_after(&bytes[read..], is_quoted);
            }
            let text = utf8(bytes)?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            if !text.is_empty() {
                return Ok(Some((first, cells(text)?)));
            }
        }
    }
}

/// Whether what follows these bytes is within quotes.
fn is_quoted_after(bytes: &[u8], is_quoted: bool) -> bool {
    let quotes = bytes.iter().filter(|byte| **byte == b'"');
    quotes.fold(is_quoted, |is_quoted, _| !is_quoted)
}

fn utf8(bytes: Vec<u8>) -> Result<String, Broken> {
    String::from_utf8(bytes).map_err(|_| Broken::Malformed("it is not UTF-8"))
}

/// Splits a line into its cells.
fn cells(text: &str) -> Result<Vec<String>, Broken> {
    let (mut cells, mut rest) = (Vec::new(), text);
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            let end = rest.find(',').unwrap_or(rest.len());
            let (cell, after) = rest.split_at(end);
            if cell.contains('"') {
                return Err(Broken::Malformed(
                    "a quote stands within a cell that is not quoted",
                ));
            }
            cells.push(cell.to_owned());
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => return Ok(cells),
            }
            continue;
        };
        let (mut cell, mut from) = (String::new(), quoted);
        let after = loop {
            let end = from.find('"').ok_or(Broken::Malformed("a quote is not closed"))?;
            cell.push_str(&from[..end]);
            match from[end + 1..].strip_prefix('"') {
                Some(next) => {
                    cell.push('"');
                    from = next;
                }
                None => break &from[end + 1..],
            }
        };
        cells.push(cell);
        match (after.strip_prefix(','), after.is_empty()) {
            (Some(next), _) => rest = next,
            (None, true) => return Ok(cells),
            (None, false) => return Err(Broken::Malformed("something follows a closing quote")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(u64, Vec<String>)> {
        let mut lines = Lines::new(text.as_bytes());
        std::iter::from_fn(|| lines.next_cells().unwrap()).collect()
    }

    #[test]
    fn cells_are_read_as_they_were_meant() {
        let rows = all("\u{feff}a,b\r\n1,\"x, \"\"y\"\"\"\n\n\"two\r\nlines\",\n,\r\nlast");
        let expected: [(u64, &[&str]); 5] = [
            (1, &["a", "b"]),
            (2, &["1", "x, \"y\""]),
            (4, &["two\r\nlines", ""]),
            (6, &["", ""]),
            (7, &["last"]),
        ];
        let expected =
            expected.map(|(line, cells)| (line, cells.iter().map(|cell| (*cell).to_owned()).collect()));
        assert_eq!(rows, expected);
    }

    #[test]
    fn what_is_no_csv_is_refused() {
        for (text, why) in [
            ("a\"b", "a quote is not closed"),
            ("a\"b\"", "a quote stands within a cell that is not quoted"),
            ("\"a", "a quote is not closed"),
            ("\"a\"b", "something follows a closing quote"),
        ] {
            let mut lines = Lines::new(text.as_bytes());
            let Err(Broken::Malformed(found)) = lines.next_cells() else {
                panic!("{text} is read");
            };
            assert_eq!(found, why, "{text}");
        }
        let mut lines = Lines::new(&b"a,\xff\n"[..]);
        assert!(matches!(
            lines.next_cells(),
            Err(Broken::Malformed("it is not UTF-8"))
        ));
        let endless = "x".repeat(RECORD_BYTES_MAX + 5);
        assert!(Lines::new(endless.as_bytes()).next_text().is_err());
    }

    #[test]
    fn lines_of_text_know_their_numbers() {
        let mut lines = Lines::new(&b"\n{}\n  \n[]"[..]);
        let read: Vec<_> = std::iter::from_fn(|| lines.next_text().unwrap()).collect();
        assert_eq!(read, [(2, "{}\n".to_owned()), (4, "[]".to_owned())]);
        assert_eq!(lines.read, 9);
    }
}
