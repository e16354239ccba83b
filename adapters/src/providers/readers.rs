//! Who reads what providers send by themselves: one reader for each protocol, asked one after another.

use florin_domain::ids::PaymentId;
use florin_domain::ports::NoticeReader;
use florin_domain::provider::{Compared, Letter, Notice, NoticeRefusal, ProviderId};
use std::sync::Arc;

/// The readers of all protocols. A provider is known to at most one of them.
#[derive(Clone, Debug)]
pub struct Readers(Vec<Arc<dyn NoticeReader>>);

impl Readers {
    /// Asks these.
    pub fn new(readers: Vec<Arc<dyn NoticeReader>>) -> Self {
        Self(readers)
    }
}

impl NoticeReader for Readers {
    fn seal(&self, provider: ProviderId) -> Option<&'static str> {
        self.0.iter().find_map(|reader| reader.seal(provider))
    }

    fn names(&self, provider: ProviderId, letter: Letter<'_>) -> Option<PaymentId> {
        self.0.iter().find_map(|reader| reader.names(provider, letter))
    }

    fn read(
        &self,
        provider: ProviderId,
        letter: Letter<'_>,
        compared: Compared,
    ) -> Result<Vec<Notice>, NoticeRefusal> {
        let mut answers = self
            .0
            .iter()
            .map(|reader| reader.read(provider, letter, compared));
        let known = answers.find(|answer| !matches!(answer, Err(NoticeRefusal::NoSuchProvider)));
        known.unwrap_or(Err(NoticeRefusal::NoSuchProvider))
    }
}
