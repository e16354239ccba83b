//! What the process holds after each tenth of a number of payments: memory must not grow with what was done.

use anyhow::Context as _;
use florin_load::report::MemoryFigures;

const TENTHS: u64 = 10;

/// Looks at memory as payments are answered.
#[derive(Debug)]
pub(super) struct Tenths(MemoryFigures);

impl Tenths {
    /// Of so many payments.
    pub(super) fn of(payments: u64) -> Self {
        Self(MemoryFigures {
            payments,
            ..MemoryFigures::default()
        })
    }

    /// After so many payments, of which so many are actors now: notes the tenth that has just ended, if one has.
    pub(super) fn look(&mut self, answered: u64, live: u64) -> anyhow::Result<()> {
        let next = self.0.rss_kib_at_tenths.len() as u64 + 1;
        if next > TENTHS || answered < self.0.payments / TENTHS * next {
            return Ok(());
        }
        let status = std::fs::read_to_string("/proc/self/status").context("the process's memory")?;
        self.0
            .rss_kib_at_tenths
            .push(resident_kib(&status).context("no VmRSS")?);
        self.0.live_at_tenths.push(live);
        Ok(())
    }

    /// What was found.
    pub(super) fn figures(self) -> MemoryFigures {
        self.0
    }
}

fn resident_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_noted_once_for_each_tenth() {
        let mut tenths = Tenths::of(1_000);
        for answered in (0..=1_100).step_by(30) {
            tenths.look(answered, answered / 30).unwrap();
        }
        let figures = tenths.figures();
        assert_eq!(figures.payments, 1_000);
        assert_eq!(figures.live_at_tenths, [4, 7, 10, 14, 17, 20, 24, 27, 30, 34]);
        assert_eq!(figures.rss_kib_at_tenths.len(), 10);
        assert!(figures.rss_kib_at_tenths.iter().all(|kib| *kib > 0));
    }

    #[test]
    fn resident_memory_is_read_off_the_status() {
        let status = "Name:\tflorin\nVmPeak:\t  900 kB\nVmRSS:\t   12345 kB\nRssAnon: 1 kB\n";
        assert_eq!(resident_kib(status), Some(12_345));
        assert_eq!(resident_kib("Name: x\n"), None);
    }
}
