//! `GET /v1/payments/export.csv`: a merchant's payments as a file, newest first, with the filters of the list. It is read and written
//! page by page, as fast as the client takes it, so its size does not matter to the process.

use super::payment_csv::{Columns, Progress};
use super::payment_list::refused;
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter, id, text};
use crate::query;
use crate::reply::Reply;
use crate::state::State;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use florin_actors::payments_handle::PaymentsHandle;
use florin_domain::ports::{PaymentsPage, PaymentsQuery, ViewError};
use serde_json::Value;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Payments of a page; some 150 KiB of text.
const PAGE: usize = 500;
/// Payments of a file. Spreadsheets take about as many.
const PAYMENTS_MAX: usize = 1_000_000;
/// How often, and after which pause each, a view that has too much to do is asked again.
const BUSY_TRIES: usize = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(export(&state, &request).await)
}

async fn export(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let (merchant, livemode) = caller.merchant()?;
    let query = query::exported_payments(request, (merchant.id, livemode), PAGE)?;
    state.payments.check_cursors(&query).await.map_err(refused)?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8; header=present"))
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"payments.csv\""))
        .insert_header((CACHE_CONTROL, "no-store"));
    if request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let pages = Pages {
        payments: state.payments.clone(),
        query,
        columns: Columns::new(PAYMENTS_MAX),
    };
    // The first page is read before the status is said, so that a refusal can still have its own.
    let (pages, first) = pages.next().await;
    Ok(response.body(Stream {
        first: Some(first?),
        pages: Turn::of(pages),
    }))
}

/// What is left of a file.
struct Pages {
    payments: PaymentsHandle,
    query: PaymentsQuery,
    columns: Columns,
}

/// The rest of the file after a page, if there is any, and the page.
type Read = (Option<Pages>, Result<Bytes, ViewError>);

impl Pages {
    async fn next(mut self) -> Read {
        let page = match self.page().await {
            Ok(page) => page,
            Err(error) => return (None, Err(error)),
        };
        let stopped_at = page.stopped_at;
        let (text, progress) = self.columns.write(&page.rows);
        let rest = match (progress, stopped_at) {
            (Progress::MayGoOn, Some(at)) => {
                self.query = self.query.behind(at);
                Some(self)
            }
            (Progress::MayGoOn, None) | (Progress::IsCut, _) => None,
        };
        (rest, Ok(text.into()))
    }

    async fn page(&self) -> Result<PaymentsPage, ViewError> {
        for _ in 0..BUSY_TRIES {
            match self.payments.stretch(&self.query).await {
                Err(ViewError::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
                answer @ (Ok(_) | Err(ViewError::Store(_))) => return answer,
            }
        }
        Err(ViewError::Busy)
    }
}

/// Whose turn it is: the client's or the view's.
enum Turn {
    Ready(Box<Pages>),
    Reading(Pin<Box<dyn Future<Output = Read>>>),
    Over,
}

impl Turn {
    fn of(pages: Option<Pages>) -> Self {
        pages.map_or(Self::Over, |pages| Self::Ready(Box::new(pages)))
    }
}

/// The body: a page is read when the one before it was taken.
struct Stream {
    first: Option<Bytes>,
    pages: Turn,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl MessageBody for Stream {
    type Error = ViewError;

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
                        self.pages = Turn::Reading(Box::pin(pages.next()));
                    }
                    continue;
                }
            };
            self.pages = Turn::of(pages);
            match read {
                // Nothing matched in this stretch; an empty chunk would end the body.
                Ok(page) if page.is_empty() => {}
                Ok(page) => return Poll::Ready(Some(Ok(page))),
                Err(error) => {
                    // The status is out; closing the connection without the last chunk tells the client that the file is not whole.
                    tracing::error!(%error, "an export of payments was broken off");
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

pub(crate) fn described() -> Endpoint {
    query::described_filters(Endpoint::get("/v1/payments/export.csv", Access::Merchants))
        .called(
            "exportPayments",
            "Export payments as CSV",
            "Newest first, with the filters of the list; at most a million lines, the last of which then says where to go on. A file that ends without \
             the last chunk of its transfer is not whole.",
        )
        .in_chapter(chapter::PAYMENTS)
        .query("starting_after", id("Only payments behind this one.", "pay_"))
        .answers_as(
            "text/csv",
            200,
            "The file. Its first line names the columns.",
            text("Comma-separated values with a header line."),
            Value::Null,
        )
        .refuses(400, &[Code::ParameterInvalidInteger])
        .refuses(503, &[Code::Overloaded])
}
