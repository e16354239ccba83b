//! How many tests ran: read from the runners' own summary lines, summed over all runs of one gate.

/// Whose summary lines are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    Nextest,
    /// The harness behind `cargo test`.
    Harness,
}

/// Tests counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Reads a runner's summary line; any other line counts nothing. The runner is named because nextest repeats
    /// what a failed test printed, and that includes the harness's own summary.
    pub(crate) fn of_line(runner: Runner, line: &str) -> Self {
        let line = line.trim_start();
        let tail = match runner {
            Runner::Nextest if line.starts_with("Summary [") => line.split_once("run:").map(|(_, tail)| tail),
            Runner::Harness if line.starts_with("test result:") => {
                line.split_once(". ").map(|(_, tail)| tail)
            }
            Runner::Nextest | Runner::Harness => None,
        };
        let mut counts = Self::default();
        for part in tail.unwrap_or_default().split([',', ';']) {
            let mut words = part.split_whitespace();
            let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else {
                continue;
            };
            // "2 passed (1 slow)", "1 failed", "1 timed out", "1 exec failed": the words after the number decide.
            let outcome = words.collect::<Vec<_>>().join(" ");
            if outcome.starts_with("passed") {
                counts.passed += number;
            } else if ["failed", "timed out", "exec failed"]
                .iter()
                .any(|word| outcome.starts_with(word))
            {
                counts.failed += number;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_lines_of_both_runners_are_read() {
        use Runner::{Harness, Nextest};
        let rows = [
            (
                Nextest,
                "     Summary [   0.006s] 3 tests run: 3 passed, 0 skipped",
                3,
                0,
            ),
            (
                Nextest,
                "     Summary [   9.1s] 8/9 tests run: 5 passed (2 slow), 2 failed, 1 timed out, 4 skipped",
                5,
                3,
            ),
            (
                Nextest,
                "     Summary [   9.1s] 2 tests run: 1 passed, 1 exec failed, 0 skipped",
                1,
                1,
            ),
            (
                Harness,
                "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; finished in 0.2s",
                12,
                0,
            ),
            (
                Harness,
                "test result: FAILED. 4 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out",
                4,
                3,
            ),
            (Nextest, "running 7 tests", 0, 0),
            (Harness, "the log says: 5 passed, 6 failed", 0, 0),
        ];
        for (runner, line, passed, failed) in rows {
            assert_eq!(Counts::of_line(runner, line), Counts { passed, failed }, "{line}");
        }
    }

    #[test]
    fn what_a_failed_test_printed_is_not_counted_again() {
        let inner = "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(Counts::of_line(Runner::Nextest, inner), Counts::default());
    }
}
