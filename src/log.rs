//! Owns the log of the process: where lines go, how they look, how many of one kind are written, and that no card number is in one. An outage makes the same line for
//! every payment; what is worth knowing is its first hundred, and how many more there were.

use florin_adapters::clock::SystemClock;
use florin_config::{LogFormat, Settings};
use florin_domain::card_details::masked;
use florin_domain::ports::Clock;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// Starts the log. Debug lines are what somebody asked for, and are not limited.
pub(crate) fn start(settings: &Settings) {
    let log = tracing_subscriber::registry()
        .with(EnvFilter::new(&settings.log))
        .with(FloodGuard::new(settings.log_same_per_s, SystemClock::new()));
    let lines = fmt::layer().with_writer(|| Masking(io::stderr()));
    match settings.log_format {
        LogFormat::Text => log.with(lines).init(),
        LogFormat::Json => log.with(lines.json()).init(),
    }
}

/// Masks card numbers in whatever is written. A line comes whole, in one write.
struct Masking<W>(W);

impl<W: Write> Write for Masking<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shown = masked(&String::from_utf8_lossy(bytes));
        self.0.write_all(shown.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Lines from one place in the code within one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Second {
    number: u64,
    written: u32,
    left_out: u64,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Written, after so many like it were not.
    Written {
        after: u64,
    },
    LeftOut,
}

impl Second {
    /// A line in this second.
    const fn line(&mut self, number: u64, lines_max: u32) -> Verdict {
        let mut after = 0;
        if self.number != number {
            after = self.left_out;
            *self = Self {
                number,
                written: 0,
                left_out: 0,
            };
        }
        if self.written < lines_max {
            self.written += 1;
            Verdict::Written { after }
        } else {
            self.left_out += 1;
            Verdict::LeftOut
        }
    }
}

/// Writes at most so many lines a second from one place in the code. How many were left out is said with the next one that is written,
/// and counted in `florin_log_lines_left_out_total`.
struct FloodGuard<C> {
    lines_max: u32,
    clock: C,
    /// As many as there are places in the code that write lines.
    seconds: Mutex<HashMap<Identifier, Second>>,
}

impl<C: Clock> FloodGuard<C> {
    fn new(lines_max: u32, clock: C) -> Self {
        Self {
            lines_max,
            clock,
            seconds: Mutex::default(),
        }
    }

    fn seconds(&self) -> MutexGuard<'_, HashMap<Identifier, Second>> {
        self.seconds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge(&self, place: Identifier) -> Verdict {
        let number = self.clock.now().unix_s();
        self.seconds()
            .entry(place)
            .or_default()
            .line(number, self.lines_max)
    }
}

impl<S: Subscriber, C: Clock + 'static> Layer<S> for FloodGuard<C> {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if self.lines_max == 0 || *metadata.level() > Level::INFO {
            return true;
        }
        match self.judge(metadata.callsite()) {
            Verdict::Written { after: 0 } => true,
            Verdict::Written { after } => {
                // Nothing is held here: this line comes through the same guard.
                let (file, line) = (metadata.file(), metadata.line());
                tracing::warn!(
                    left_out = after,
                    file,
                    line,
                    "lines like the next one were left out"
                );
                true
            }
            Verdict::LeftOut => {
                metrics::counter!("florin_log_lines_left_out_total").increment(1);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_domain::time::Timestamp;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_second_has_room_for_so_many_lines_and_says_afterwards_how_many_were_left_out() {
        let mut second = Second::default();
        let mut line = |number| second.line(number, 2);
        assert_eq!(line(0), Verdict::Written { after: 0 });
        assert_eq!(line(0), Verdict::Written { after: 0 });
        assert_eq!(line(0), Verdict::LeftOut);
        assert_eq!(line(0), Verdict::LeftOut);
        assert_eq!(line(5), Verdict::Written { after: 2 });
        assert_eq!(line(5), Verdict::Written { after: 0 });
        assert_eq!(line(5), Verdict::LeftOut);
        assert_eq!(line(6), Verdict::Written { after: 1 });
        assert_eq!(line(7), Verdict::Written { after: 0 });
    }

    #[test]
    fn no_line_has_a_card_number_in_either_format() {
        #[derive(Clone, Default)]
        struct Kept(Arc<Mutex<Vec<u8>>>);

        impl Write for Kept {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        for is_json in [false, true] {
            let kept = Kept::default();
            let into = kept.clone();
            let lines = fmt::layer().with_writer(move || Masking(into.clone()));
            let write = || tracing::warn!(card = "4000056655665556", "said 4000 0566 5566 5556");
            if is_json {
                tracing::subscriber::with_default(tracing_subscriber::registry().with(lines.json()), write);
            } else {
                tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), write);
            }
            let line = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
            assert_eq!(line.matches("************5556").count(), 2, "{line}");
        }
    }

    #[derive(Clone, Default)]
    struct Written(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Written {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Time that stands still.
    #[derive(Debug)]
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_ms(1_795_261_600_123)
        }
    }

    fn written(lines_max: u32, write: impl FnOnce()) -> usize {
        let written = Written::default();
        let log = tracing_subscriber::registry()
            .with(FloodGuard::new(lines_max, Still))
            .with(written.clone());
        tracing::subscriber::with_default(log, write);
        written.0.load(Ordering::Relaxed)
    }

    #[test]
    fn each_place_has_its_own_room_and_debug_lines_are_not_limited() {
        let all = |times| {
            for _ in 0..times {
                tracing::warn!("one");
                tracing::error!("other");
                tracing::debug!("asked for");
            }
        };
        assert_eq!(written(3, || all(1_000)), 3 + 3 + 1_000);
        assert_eq!(written(0, || all(1_000)), 3_000);
    }
}
