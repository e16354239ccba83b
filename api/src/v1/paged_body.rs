//! Bodies that are made page by page, as fast as the client takes them, so that their size does not matter to the process.

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use florin_domain::ports::Ownership;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use thiserror::Error;

/// The rest of the file after a page, if there is any, and the page.
pub(super) type Read<P> = (Option<P>, Result<Bytes, <P as Pages>::Error>);

/// What is left of a file.
pub(super) trait Pages: Sized + 'static {
    /// What the file is called in the log.
    const WHAT: &'static str;

    /// Why a page cannot be read.
    type Error: Error + Into<Box<dyn Error>> + 'static;

    /// Reads the next page; one without text is no end.
    fn next(self) -> Pin<Box<dyn Future<Output = Read<Self>>>>;
}

/// Why nothing more of a file is sent: what was read may be old by now.
#[derive(Debug, Error)]
#[error("another node may have the shards")]
struct NotOurs;

/// Whose turn it is: the client's or ours.
enum Turn<P: Pages> {
    Ready(Box<P>),
    Reading(Pin<Box<dyn Future<Output = Read<P>>>>),
    Over,
}

impl<P: Pages> Turn<P> {
    fn of(pages: Option<P>) -> Self {
        pages.map_or(Self::Over, |pages| Self::Ready(Box::new(pages)))
    }
}

/// The body: a page is read when the one before it was taken.
pub(super) struct PagedBody<P: Pages> {
    ownership: Arc<dyn Ownership>,
    first: Option<Bytes>,
    pages: Turn<P>,
}

impl<P: Pages> PagedBody<P> {
    /// Reads the first page before the status is said, so that a refusal can still have its own.
    pub(super) async fn begin(pages: P, ownership: &Arc<dyn Ownership>) -> Result<Self, P::Error> {
        let (pages, first) = pages.next().await;
        let first = first?;
        Ok(Self {
            ownership: Arc::clone(ownership),
            first: (!first.is_empty()).then_some(first),
            pages: Turn::of(pages),
        })
    }
}

impl<P: Pages> fmt::Debug for PagedBody<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagedBody").finish_non_exhaustive()
    }
}

impl<P: Pages> MessageBody for PagedBody<P> {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        loop {
            let (pages, read) = match &mut self.pages {
                Turn::Over => return Poll::Ready(None),
                Turn::Reading(reading) => ready!(reading.as_mut().poll(context)),
                Turn::Ready(_) => {
                    if let Turn::Ready(pages) = std::mem::replace(&mut self.pages, Turn::Over) {
                        self.pages = Turn::Reading(pages.next());
                    }
                    continue;
                }
            };
            // The first page is looked after by whoever says the status.
            if !self.ownership.is_ours() {
                self.pages = Turn::Over;
                return Poll::Ready(Some(Err(NotOurs.into())));
            }
            self.pages = Turn::of(pages);
            match read {
                // Nothing matched in this stretch; an empty chunk would end the body.
                Ok(page) if page.is_empty() => {}
                Ok(page) => return Poll::Ready(Some(Ok(page))),
                Err(error) => {
                    // The status is out; closing the connection without the last chunk tells the client that the file is not whole.
                    tracing::error!(%error, "an export of {} was broken off", P::WHAT);
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[derive(Debug, Default)]
    struct Lost(AtomicBool);

    impl Ownership for Lost {
        fn is_ours(&self) -> bool {
            !self.0.load(Ordering::SeqCst)
        }
    }

    /// So many pages are left.
    struct Left(u8);

    impl Pages for Left {
        const WHAT: &'static str = "numbers";

        type Error = std::io::Error;

        fn next(self) -> Pin<Box<dyn Future<Output = Read<Self>>>> {
            Box::pin(async move { ((self.0 > 1).then(|| Self(self.0 - 1)), Ok(vec![self.0].into())) })
        }
    }

    async fn read(body: &mut PagedBody<Left>) -> Option<Result<Bytes, Box<dyn Error>>> {
        std::future::poll_fn(|context| Pin::new(&mut *body).poll_next(context)).await
    }

    #[test]
    fn a_file_is_broken_off_once_another_process_may_have_the_shards() {
        actix_web::rt::System::new().block_on(broken_off());
    }

    async fn broken_off() {
        let lost = Arc::new(Lost::default());
        let ownership = Arc::clone(&lost) as Arc<dyn Ownership>;
        let mut body = PagedBody::begin(Left(3), &ownership).await.unwrap();
        for expected in [3_u8, 2] {
            let page = read(&mut body).await.unwrap().unwrap();
            assert_eq!(page.as_ref(), [expected]);
        }
        lost.0.store(true, Ordering::SeqCst);
        let error = read(&mut body).await.unwrap().unwrap_err();
        assert!(
            error.to_string().contains("another node may have the shards"),
            "{error}"
        );
        assert!(read(&mut body).await.is_none());
    }
}
