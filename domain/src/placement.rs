//! In which shard a new merchant or account begins: where somebody says, or by the first letter of its name.
//!
//! Placement is asked once, when something is made. From then on the id carries the shard, so ranges may be changed at any time
//! and nothing moves.

use crate::ids::ShardId;
use std::fmt;
use thiserror::Error;

/// The letters that names may begin with.
const LETTERS: usize = 26;

/// How the shard of what is new is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// Whoever makes a tenant or an account says where, and else it is the first shard.
    #[default]
    Tenant,
    /// The first letter of the name decides.
    Ranges(LetterRanges),
}

/// Letters that follow one another, such as A to D.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterRange {
    first: u8,
    last: u8,
}

/// A range for each shard, in the order of their numbers: together they have each letter once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterRanges {
    ranges: Vec<LetterRange>,
    shard_of: [ShardId; LETTERS],
}

/// Why ranges are no placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RangesError {
    /// Not one for each shard.
    #[error("there are {ranges} for {shards} shards, and each needs one")]
    Count {
        /// How many ranges there are.
        ranges: usize,
        /// How many shards there are.
        shards: u16,
    },
    /// No range has this letter.
    #[error("no range has {0}")]
    Missing(char),
    /// Two ranges have this letter.
    #[error("two ranges have {0}")]
    Twice(char),
}

/// A shard was named that is not the one of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("names that begin with {} belong to shard {}", Begin(*.letter), .shard.0)]
pub struct Misplaced {
    /// What the name begins with, if that is a letter.
    pub letter: Option<char>,
    /// Where it belongs.
    pub shard: ShardId,
}

/// Why an account has no shard to be in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unplaced {
    /// A shard was named that is not the one of the name.
    #[error(transparent)]
    Misplaced(#[from] Misplaced),
    /// Letters decide, and the account is open in another shard than the one that was named.
    #[error("the account is open in shard {}, and stays there", .shard.0)]
    OpenElsewhere {
        /// Where it is.
        shard: ShardId,
    },
    /// Accounts of several shards have the name, and none of those shards was named.
    #[error("several shards have an account of this name ({}): say which one", Listed(.shards))]
    OpenInSeveral {
        /// Where they are.
        shards: Vec<ShardId>,
    },
}

struct Listed<'a>(&'a [ShardId]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, shard) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{}", shard.0)?;
        }
        Ok(())
    }
}

struct Begin(Option<char>);

impl fmt::Display for Begin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(letter) => write!(f, "{letter}"),
            None => f.write_str("no letter from A to Z"),
        }
    }
}

impl LetterRange {
    /// Two capital letters with a hyphen between them, or one for itself.
    pub fn parse(text: &str) -> Option<Self> {
        let range = match *text.as_bytes() {
            [letter] => Self {
                first: letter,
                last: letter,
            },
            [first, b'-', last] => Self { first, last },
            _ => return None,
        };
        let is_capital = range.first.is_ascii_uppercase() && range.last.is_ascii_uppercase();
        (is_capital && range.first <= range.last).then_some(range)
    }
}

impl fmt::Display for LetterRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (char::from(self.first), char::from(self.last));
        if first == last {
            write!(f, "{first}")
        } else {
            write!(f, "{first}-{last}")
        }
    }
}

/// Where a letter stands in the alphabet, in whichever case; nothing for what is no letter from A to Z.
fn place_of(letter: char) -> Option<usize> {
    let upper = u8::try_from(letter).ok()?.to_ascii_uppercase();
    upper
        .is_ascii_uppercase()
        .then(|| usize::from(upper.wrapping_sub(b'A')))
}

impl LetterRanges {
    /// Ranges in the order of the shards that they are of.
    ///
    /// # Errors
    /// There are more or fewer than `shards`, or a letter is in none or in two.
    pub fn new(ranges: Vec<LetterRange>, shards: u16) -> Result<Self, RangesError> {
        if ranges.len() != usize::from(shards) {
            return Err(RangesError::Count {
                ranges: ranges.len(),
                shards,
            });
        }
        let mut found = [None; LETTERS];
        for (shard, range) in (0..shards).zip(&ranges) {
            for letter in (range.first..=range.last).map(char::from) {
                if let Some(place) = place_of(letter).and_then(|place| found.get_mut(place))
                    && place.replace(ShardId(shard)).is_some()
                {
                    return Err(RangesError::Twice(letter));
                }
            }
        }
        let mut shard_of = [ShardId::FIRST; LETTERS];
        for ((place, found), letter) in shard_of.iter_mut().zip(found).zip('A'..='Z') {
            *place = found.ok_or(RangesError::Missing(letter))?;
        }
        Ok(Self { ranges, shard_of })
    }

    /// The ranges as they were given.
    pub fn ranges(&self) -> &[LetterRange] {
        &self.ranges
    }

    /// The shard of a name. One that begins with no letter from A to Z belongs to the first shard.
    pub fn shard_of(&self, name: &str) -> ShardId {
        let place = begin_of(name).and_then(place_of);
        let shard = place.and_then(|place| self.shard_of.get(place));
        shard.copied().unwrap_or(ShardId::FIRST)
    }
}

fn begin_of(name: &str) -> Option<char> {
    name.trim_start().chars().next()
}

/// Whose account it is, by its name: what stands behind the first colon (`customer:alice`), or all of a name without one.
fn owner_of(account: &str) -> &str {
    account.split_once(':').map_or(account, |(_, owner)| owner)
}

impl Placement {
    /// Where a merchant of this name begins.
    ///
    /// # Errors
    /// Another shard was `asked` for than the name belongs to.
    pub fn of_merchant(&self, name: &str, asked: Option<ShardId>) -> Result<ShardId, Misplaced> {
        match self {
            Self::Tenant => Ok(asked.unwrap_or(ShardId::FIRST)),
            Self::Ranges(ranges) => placed(ranges, name, asked),
        }
    }

    /// Where an account of this name begins: by its owner, which is what stands behind the first colon, or the whole name.
    ///
    /// # Errors
    /// Another shard was `asked` for than the owner belongs to.
    pub fn of_account(&self, name: &str, asked: Option<ShardId>) -> Result<ShardId, Misplaced> {
        self.of_merchant(owner_of(name), asked)
    }

    /// The shard of an account that may be open already, in the shards `homes`: a request is answered with the account that it was
    /// answered with before, however accounts are placed by now.
    ///
    /// # Errors
    /// The name belongs elsewhere, or it would have to be guessed which account is meant.
    pub fn of_open_account(
        &self,
        name: &str,
        asked: Option<ShardId>,
        homes: &[ShardId],
    ) -> Result<ShardId, Unplaced> {
        let several = || Unplaced::OpenInSeveral {
            shards: homes.to_vec(),
        };
        match (asked, self, homes) {
            (Some(asked), _, _) if homes.contains(&asked) => Ok(asked),
            (None, _, [home]) => Ok(*home),
            // Whoever says where accounts are means the first shard by saying nothing.
            (None, Self::Tenant, _) if homes.contains(&ShardId::FIRST) => Ok(ShardId::FIRST),
            (Some(_), Self::Ranges(_), [home]) => Err(Unplaced::OpenElsewhere { shard: *home }),
            (Some(_), Self::Ranges(_), [_, ..]) | (None, _, [_, ..]) => Err(several()),
            (Some(_), Self::Tenant, _) | (_, _, []) => Ok(self.of_account(name, asked)?),
        }
    }
}

fn placed(ranges: &LetterRanges, name: &str, asked: Option<ShardId>) -> Result<ShardId, Misplaced> {
    let shard = ranges.shard_of(name);
    if asked.is_none_or(|asked| asked == shard) {
        return Ok(shard);
    }
    let letter = begin_of(name).filter(|letter| place_of(*letter).is_some());
    Err(Misplaced {
        letter: letter.map(|letter| letter.to_ascii_uppercase()),
        shard,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges(texts: &[&str]) -> Result<LetterRanges, RangesError> {
        let ranges = texts.iter().map(|text| LetterRange::parse(text).unwrap());
        LetterRanges::new(ranges.collect(), u16::try_from(texts.len()).unwrap())
    }

    /// The eight of the usual drawing: three or four letters each.
    const EIGHT: [&str; 8] = ["A-D", "E-H", "I-L", "M-O", "P-R", "S", "T-V", "W-Z"];

    #[test]
    fn a_range_is_one_capital_letter_or_two_in_order() {
        for text in ["A-D", "W-Z", "Q", "A-Z"] {
            assert_eq!(LetterRange::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(LetterRange::parse("Q-Q"), LetterRange::parse("Q"));
        for text in [
            "", "-", "a-d", "A-d", "D-A", "A-", "-D", "A D", "A-D-F", "AD", "1-9", "Ä-Z",
        ] {
            assert_eq!(LetterRange::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_letter_is_in_one_range_and_every_shard_has_one() {
        assert!(ranges(&EIGHT).is_ok());
        assert!(ranges(&["N-Z", "A-M"]).is_ok(), "in whatever order");
        let cases: [(&[&str], RangesError); 5] = [
            (&["A-M", "O-Z"], RangesError::Missing('N')),
            (&["B-Z"], RangesError::Missing('A')),
            (&["A-N", "N-Z"], RangesError::Twice('N')),
            (&["A-Y"], RangesError::Missing('Z')),
            (&["A-Z", "Q"], RangesError::Twice('Q')),
        ];
        for (texts, expected) in cases {
            assert_eq!(ranges(texts), Err(expected), "{texts:?}");
        }
        let whole = vec![LetterRange::parse("A-Z").unwrap()];
        let error = LetterRanges::new(whole, 2).unwrap_err();
        assert_eq!(error.to_string(), "there are 1 for 2 shards, and each needs one");
    }

    #[test]
    fn the_first_letter_decides_whoever_it_is_of() {
        let placement = Placement::Ranges(ranges(&EIGHT).unwrap());
        let merchants = [
            ("Adler", 0),
            ("delta", 0),
            ("Eiger", 1),
            ("  Lumen", 2),
            ("Zebra", 7),
            ("Sol", 5),
            ("42 Street", 0),
            ("Ökohaus", 0),
            ("", 0),
            ("mer:walter", 3),
        ];
        for (name, shard) in merchants {
            assert_eq!(placement.of_merchant(name, None), Ok(ShardId(shard)), "{name}");
        }
        let accounts = [
            ("alice", 0),
            ("walter", 7),
            ("customer:walter", 7),
            ("wallet:alice:savings", 0),
            ("customer:42", 0),
            ("customer:", 0),
            (":zoe", 7),
        ];
        for (name, shard) in accounts {
            assert_eq!(placement.of_account(name, None), Ok(ShardId(shard)), "{name}");
        }
    }

    #[test]
    fn a_shard_that_is_asked_for_is_the_one_of_the_name_or_refused() {
        let placement = Placement::Ranges(ranges(&EIGHT).unwrap());
        assert_eq!(placement.of_merchant("Walter", Some(ShardId(7))), Ok(ShardId(7)));
        let misplaced = placement.of_merchant("walter", Some(ShardId(0))).unwrap_err();
        assert_eq!(misplaced.to_string(), "names that begin with W belong to shard 7");
        let misplaced = placement.of_account("fee:7", Some(ShardId(3))).unwrap_err();
        assert_eq!(
            misplaced.to_string(),
            "names that begin with no letter from A to Z belong to shard 0"
        );
        for asked in [None, Some(ShardId(5))] {
            let expected = Ok(asked.unwrap_or(ShardId::FIRST));
            assert_eq!(Placement::Tenant.of_merchant("Walter", asked), expected);
            assert_eq!(Placement::Tenant.of_account("walter", asked), expected);
        }
    }

    /// Whether letters decide, which shard is asked for, where it is open, and what comes of it.
    type Row<'a> = (bool, Option<u16>, &'a [u16], Result<u16, &'a str>);

    #[test]
    fn an_account_that_is_open_is_found_or_refused_and_never_another_one() {
        let letters = Placement::Ranges(ranges(&EIGHT).unwrap());
        let belongs = "names that begin with W belong to shard 7";
        let several = "several shards have an account of this name (0, 7): say which one";
        let rows: [Row<'_>; 21] = [
            (true, None, &[], Ok(7)),
            (true, None, &[7], Ok(7)),
            (true, None, &[0], Ok(0)),
            (true, None, &[3], Ok(3)),
            (true, None, &[0, 7], Err(several)),
            (true, Some(7), &[], Ok(7)),
            (true, Some(3), &[], Err(belongs)),
            (true, Some(3), &[3], Ok(3)),
            (
                true,
                Some(7),
                &[3],
                Err("the account is open in shard 3, and stays there"),
            ),
            (true, Some(0), &[0, 7], Ok(0)),
            (true, Some(7), &[0, 7], Ok(7)),
            (true, Some(3), &[0, 7], Err(several)),
            (false, None, &[], Ok(0)),
            (false, None, &[0], Ok(0)),
            (false, None, &[0, 7], Ok(0)),
            (false, None, &[7], Ok(7)),
            (
                false,
                None,
                &[3, 7],
                Err("several shards have an account of this name (3, 7): say which one"),
            ),
            (false, Some(5), &[], Ok(5)),
            (false, Some(5), &[5], Ok(5)),
            (false, Some(5), &[0, 7], Ok(5)),
            (false, Some(0), &[7], Ok(0)),
        ];
        for (by_letters, asked, homes, expected) in rows {
            let placement = if by_letters { &letters } else { &Placement::Tenant };
            let homes: Vec<ShardId> = homes.iter().copied().map(ShardId).collect();
            let placed = placement.of_open_account("walter", asked.map(ShardId), &homes);
            let placed = placed.map(|shard| shard.0).map_err(|why| why.to_string());
            let expected = expected.map_err(str::to_owned);
            assert_eq!(placed, expected, "{by_letters} {asked:?} {homes:?}");
        }
    }

    proptest! {
        /// However the alphabet is cut, a name is where the range with its letter is, in either case.
        #[test]
        fn a_name_is_where_its_letter_is(cuts in proptest::collection::btree_set(1_u8..26, 0..26), name in "[A-Za-z][a-z ]{0,8}") {
            let begins: Vec<u8> = std::iter::once(0).chain(cuts).collect();
            let ends = begins.iter().skip(1).map(|begin| begin.saturating_sub(1)).chain([25]);
            let letter = |place: u8| b'A'.saturating_add(place);
            let ranges = begins.iter().zip(ends);
            let cut: Vec<LetterRange> = ranges
                .map(|(first, last)| LetterRange { first: letter(*first), last: letter(last) })
                .collect();
            let all = LetterRanges::new(cut.clone(), u16::try_from(cut.len()).unwrap()).unwrap();
            let range = cut[usize::from(all.shard_of(&name).0)];
            let letter = name.as_bytes()[0].to_ascii_uppercase();
            prop_assert!((range.first..=range.last).contains(&letter));
        }
    }
}
