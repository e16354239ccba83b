//! What the rounds of all designs come to: one table for people and one object for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use super::number;

/// How many accounts the payments of a load meet at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Account {
    Uniform,
    Hot,
}

impl Account {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Hot => "hot",
        }
    }

    /// Each has an account of its own.
    pub(super) const fn merchants(self) -> u64 {
        match self {
            Self::Uniform => 1_000,
            Self::Hot => 1,
        }
    }

    /// How many times the payments of the conventional design are wanted.
    const fn aim(self) -> f64 {
        match self {
            Self::Uniform => 5.0,
            Self::Hot => 10.0,
        }
    }

    const fn shown(self) -> &'static str {
        match self {
            Self::Uniform => "1,000 accounts",
            Self::Hot => "one hot account",
        }
    }
}

/// How many ask at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Callers {
    /// The same for every design.
    Many,
    /// As many as the conventional design works on at once: none of its payments waits for its turn.
    Few,
}

impl Callers {
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Many => "",
            Self::Few => "_few",
        }
    }
}

/// Who makes the payments, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Design {
    Embedded,
    InPostgres,
    /// Redis locks the idempotency key.
    KeyLock,
    /// And the account, around the transaction.
    AccountLock,
}

impl Design {
    const ALL: [Self; 4] = [Self::Embedded, Self::InPostgres, Self::KeyLock, Self::AccountLock];
    const CONVENTIONAL: [Self; 2] = [Self::KeyLock, Self::AccountLock];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "florin",
            Self::InPostgres => "florin_postgresql",
            Self::KeyLock => "key_lock",
            Self::AccountLock => "account_lock",
        }
    }

    const fn shown(self) -> &'static str {
        match self {
            Self::Embedded => "Florin, embedded journal",
            Self::InPostgres => "Florin, journal in PostgreSQL",
            Self::KeyLock => "Redis lock on key, SERIALIZABLE",
            Self::AccountLock => "the same, lock on account too",
        }
    }
}

/// One load of one round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    pub(super) callers: Option<f64>,
    pub(super) payments_per_s: f64,
    p50_us: f64,
    p99_us: f64,
    /// Requests that were answered with something else than a payment.
    pub(super) refused: f64,
}

impl Figures {
    pub(super) fn read(load: &Value, name: &str) -> Result<Self> {
        let figure = |figure| number(load, figure).with_context(|| format!("the load `{name}`"));
        Ok(Self {
            callers: number(load, "callers").ok(),
            payments_per_s: figure("payments_per_s")?,
            p50_us: figure("p50_us")?,
            p99_us: figure("p99_us")?,
            refused: number(load, "errors").unwrap_or(0.0),
        })
    }
}

/// All rounds of a load.
#[derive(Clone, Copy, Debug)]
struct Rounds<'a>(&'a [Figures]);

impl Rounds<'_> {
    fn rate(self) -> f64 {
        median(self.0.iter().map(|figures| figures.payments_per_s))
    }

    fn p50_us(self) -> f64 {
        median(self.0.iter().map(|figures| figures.p50_us))
    }

    fn p99_us(self) -> f64 {
        median(self.0.iter().map(|figures| figures.p99_us))
    }

    fn to_json(self) -> Value {
        let rates: Vec<f64> = self
            .0
            .iter()
            .map(|figures| figures.payments_per_s.round())
            .collect();
        json!({
            "payments_per_s": self.rate().round(),
            "p50_us": self.p50_us().round(),
            "p99_us": self.p99_us().round(),
            "payments_per_s_of_rounds": rates,
            "refused": self.0.iter().map(|figures| figures.refused).sum::<f64>(),
        })
    }
}

/// The one in the middle; between the two in the middle where there is none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.as_slice() {
        [] => f64::NAN,
        all if all.len() % 2 == 1 => all[middle],
        all => f64::midpoint(all[middle - 1], all[middle]),
    }
}

type Load = (Account, Callers, Design);

/// Everything that was measured.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    loads: BTreeMap<Load, Vec<Figures>>,
    servers: Value,
}

impl Comparison {
    pub(super) fn add(&mut self, load: Load, figures: Figures) {
        self.loads.entry(load).or_default().push(figures);
    }

    /// Keeps what the conventional design says of its servers.
    pub(super) fn servers(&mut self, report: &Value) {
        let version = |name: &str| {
            let text = report.get(name).and_then(Value::as_str).unwrap_or("?");
            text.split_whitespace().next().unwrap_or("?").to_owned()
        };
        self.servers = json!({"postgresql": version("server_version"), "redis": version("redis_version")});
    }

    fn rounds(&self, load: Load) -> Result<Rounds<'_>> {
        let rounds = self.loads.get(&load).map_or(&[][..], Vec::as_slice);
        ensure!(!rounds.is_empty(), "{load:?} was not measured");
        Ok(Rounds(rounds))
    }

    /// The most payments that the conventional design made of an account in a second of that round, whatever it locked and however many
    /// asked.
    fn best_conventional(&self, account: Account, round: usize) -> Result<f64> {
        let mut best: f64 = 0.0;
        for callers in [Callers::Many, Callers::Few] {
            for design in Design::CONVENTIONAL {
                best = best.max(self.rate((account, callers, design), round)?);
            }
        }
        Ok(best)
    }

    fn rate(&self, load: Load, round: usize) -> Result<f64> {
        let figures = self.rounds(load)?.0.get(round);
        let figures = figures.with_context(|| format!("{load:?} was not measured in every round"))?;
        Ok(figures.payments_per_s)
    }

    /// How many times as many payments one design made as another one, in the middle of all rounds: what is slow for a while is slow for
    /// both.
    fn ratio(&self, load: Load, other: impl Fn(usize) -> Result<f64>) -> Result<f64> {
        let mut ratios = Vec::new();
        for round in 0..self.rounds(load)?.0.len() {
            ratios.push(self.rate(load, round)? / other(round)?);
        }
        Ok(median(ratios.into_iter()))
    }

    /// Its lowest p99 among as many callers.
    fn best_p99_us(&self, account: Account, callers: Callers) -> Result<f64> {
        let mut best = f64::INFINITY;
        for design in Design::CONVENTIONAL {
            best = best.min(self.rounds((account, callers, design))?.p99_us());
        }
        Ok(best)
    }

    /// One group for each account and number of callers; the last column says how many times as many payments the embedded journal makes.
    pub(super) fn table(&self, seconds: u64) -> Result<String> {
        let version = |name: &str| self.servers[name].as_str().unwrap_or("?");
        let mut text = format!(
            "payments, {seconds} s a load, PostgreSQL {}, Redis {}, every answer after its fsync; medians of {} rounds\n\
             {:<36}{:<34}{:>11}{:>9}{:>9}{:>11}\n",
            version("postgresql"),
            version("redis"),
            self.loads.values().map(Vec::len).max().unwrap_or(0),
            "load",
            "design",
            "payments/s",
            "p50 ms",
            "p99 ms",
            "Florin is"
        );
        for callers in [Callers::Many, Callers::Few] {
            for account in [Account::Uniform, Account::Hot] {
                let own = (account, callers, Design::Embedded);
                let asked = self.rounds((account, callers, Design::KeyLock))?.0;
                let count = asked.first().and_then(|figures| figures.callers).unwrap_or(0.0);
                let mut load = format!("{}, {count} callers", account.shown());
                for design in Design::ALL {
                    let other = (account, callers, design);
                    let rounds = self.rounds(other)?;
                    let ratio = match design {
                        Design::Embedded => String::new(),
                        Design::InPostgres | Design::KeyLock | Design::AccountLock => {
                            format!("{:.1} x", self.ratio(own, |round| self.rate(other, round))?)
                        }
                    };
                    let line = format!(
                        "{load:<36}{:<34}{:>11.0}{:>9.1}{:>9.1}{ratio:>11}",
                        design.shown(),
                        rounds.rate(),
                        rounds.p50_us() / 1000.0,
                        rounds.p99_us() / 1000.0,
                    );
                    text += line.trim_end();
                    text.push('\n');
                    load.clear();
                }
            }
        }
        for account in [Account::Uniform, Account::Hot] {
            let verdict = self.verdict(account)?;
            writeln!(
                text,
                "{}: {:.1} times the payments of the conventional design at its best ({} wanted), p99 {}",
                account.shown(),
                verdict.ratio,
                account.aim(),
                if verdict.is_p99_lower {
                    "lower"
                } else {
                    "NOT lower"
                },
            )?;
        }
        Ok(text)
    }

    fn verdict(&self, account: Account) -> Result<Verdict> {
        let load = |design| (account, Callers::Many, design);
        let (embedded, shared) = (load(Design::Embedded), load(Design::InPostgres));
        let best = |round| self.best_conventional(account, round);
        let p99_us = self.rounds(embedded)?.p99_us();
        Ok(Verdict {
            ratio: self.ratio(embedded, best)?,
            ratio_postgresql: self.ratio(shared, best)?,
            embedded_over_postgresql: self.ratio(embedded, |round| self.rate(shared, round))?,
            is_p99_lower: p99_us < self.best_p99_us(account, Callers::Many)?,
        })
    }

    pub(super) fn to_json(&self) -> Result<Value> {
        let mut all = Map::new();
        for account in [Account::Uniform, Account::Hot] {
            for callers in [Callers::Many, Callers::Few] {
                let mut load = Map::new();
                for design in Design::ALL {
                    let rounds = self.rounds((account, callers, design))?;
                    load.insert(design.name().to_owned(), rounds.to_json());
                    if let Some(count) = rounds.0.first().and_then(|figures| figures.callers) {
                        load.insert("callers".to_owned(), json!(count));
                    }
                }
                all.insert(format!("{}{}", account.name(), callers.suffix()), load.into());
            }
            let verdict = self.verdict(account)?;
            all.insert(
                format!("{}_ratios", account.name()),
                json!({
                    "florin": two_decimals(verdict.ratio),
                    "florin_postgresql": two_decimals(verdict.ratio_postgresql),
                    "embedded_over_postgresql": two_decimals(verdict.embedded_over_postgresql),
                    "wanted": account.aim(),
                    "is_p99_lower": verdict.is_p99_lower,
                }),
            );
        }
        all.insert("servers".to_owned(), self.servers.clone());
        Ok(all.into())
    }
}

/// Ours with many callers against the most that the conventional design makes.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    ratio: f64,
    ratio_postgresql: f64,
    embedded_over_postgresql: f64,
    /// Than the lower of both among as many callers.
    is_p99_lower: bool,
}

fn two_decimals(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(callers: Option<u64>, rate: f64, p99_us: f64) -> Figures {
        let load = json!({"callers": callers, "payments_per_s": rate, "p50_us": 1_500, "p99_us": p99_us});
        Figures::read(&load, "a load").unwrap()
    }

    /// Three rounds: as it is, one in which everything is slow, and one that is worse for latencies.
    fn comparison() -> Comparison {
        let mut comparison = Comparison::default();
        comparison.servers(&json!({"server_version": "15.18 (Debian)", "redis_version": "7.0.15"}));
        for (callers, count) in [(Callers::Many, 512), (Callers::Few, 32)] {
            for account in [Account::Uniform, Account::Hot] {
                for (design, rate) in [
                    (Design::Embedded, 20_000.0),
                    (Design::InPostgres, 10_000.0),
                    (Design::KeyLock, 2_000.0),
                    (Design::AccountLock, 1_000.0),
                ] {
                    let told = Design::CONVENTIONAL.contains(&design).then_some(count);
                    for (slower, p99_us) in [(1.0, 10_000.0), (0.25, 80_000.0), (0.5, 30_000.0)] {
                        let p99_us = p99_us * 20_000.0 / rate;
                        let figures = figures(told, rate * slower, p99_us);
                        comparison.add((account, callers, design), figures);
                    }
                }
            }
        }
        comparison
    }

    #[test]
    fn the_table_has_every_design_of_every_load_and_says_what_was_reached() {
        let table = comparison().table(8).unwrap();
        let expected = "\
payments, 8 s a load, PostgreSQL 15.18, Redis 7.0.15, every answer after its fsync; medians of 3 rounds
load                                design                             payments/s   p50 ms   p99 ms  Florin is
1,000 accounts, 512 callers         Florin, embedded journal                10000      1.5     30.0
                                    Florin, journal in PostgreSQL            5000      1.5     60.0      2.0 x
                                    Redis lock on key, SERIALIZABLE          1000      1.5    300.0     10.0 x
                                    the same, lock on account too             500      1.5    600.0     20.0 x
";
        assert!(table.starts_with(expected), "{table}");
        assert!(
            table.contains("\none hot account, 32 callers         Florin, embedded"),
            "{table}"
        );
        let verdicts = "\
1,000 accounts: 10.0 times the payments of the conventional design at its best (5 wanted), p99 lower
one hot account: 10.0 times the payments of the conventional design at its best (10 wanted), p99 lower
";
        assert!(table.ends_with(verdicts), "{table}");
    }

    #[test]
    fn ours_is_compared_with_the_best_of_theirs_whatever_it_locks() {
        let mut better = comparison();
        better.loads.insert(
            (Account::Hot, Callers::Few, Design::AccountLock),
            vec![figures(Some(8), 5_000.0, 20_000.0); 3],
        );
        let slow = vec![figures(None, 15_000.0, 900_000.0); 3];
        better
            .loads
            .insert((Account::Hot, Callers::Many, Design::Embedded), slow);
        let told = better.to_json().unwrap();
        assert_eq!(told["uniform_ratios"]["florin"], 10.0);
        assert_eq!(told["hot_ratios"]["florin"], 3.0);
        assert_eq!(told["hot_ratios"]["embedded_over_postgresql"], 3.0);
        assert_eq!(told["hot_ratios"]["is_p99_lower"], false);
        assert_eq!(
            told["uniform"]["florin"]["payments_per_s_of_rounds"],
            json!([20_000.0, 5_000.0, 10_000.0])
        );
        assert_eq!(told["uniform"]["callers"], 512.0);
        assert_eq!(told["servers"]["postgresql"], "15.18");
    }

    #[test]
    fn what_was_not_measured_makes_no_table() {
        let mut partly = comparison();
        partly
            .loads
            .remove(&(Account::Hot, Callers::Few, Design::InPostgres));
        let error = partly.table(8).unwrap_err().to_string();
        assert!(error.contains("InPostgres"), "{error}");
        let mut shorter = comparison();
        let load = (Account::Hot, Callers::Few, Design::KeyLock);
        shorter.loads.get_mut(&load).unwrap().pop();
        let error = shorter.table(8).unwrap_err().to_string();
        assert!(error.contains("every round"), "{error}");
        let error = Figures::read(&json!({"payments_per_s": 1.0, "p50_us": 2}), "hot").unwrap_err();
        assert!(format!("{error:#}").contains("`hot`"), "{error:#}");
    }
}
