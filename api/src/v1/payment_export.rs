//! `GET /v1/payments/export.csv`: a merchant's payments as a file, newest first, with the filters of the list. It is read and written
//! page by page, as fast as the client takes it, so its size does not matter to the process.

use super::paged_body::{PagedBody, Pages, Read};
use super::payment_csv::{Columns, Progress};
use super::payment_list::refused;
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter, id, text};
use crate::query;
use crate::reply::Reply;
use crate::state::State;
use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::PaymentsHandle;
use florin_domain::ports::{PaymentsPage, PaymentsQuery, ViewError};
use serde_json::Value;
use std::pin::Pin;
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
    let pages = Exported {
        payments: state.payments.clone(),
        query,
        columns: Columns::new(PAYMENTS_MAX),
    };
    Ok(response.body(PagedBody::begin(pages, &state.ownership).await?))
}

/// What is left of a file.
struct Exported {
    payments: PaymentsHandle,
    query: PaymentsQuery,
    columns: Columns,
}

impl Pages for Exported {
    const WHAT: &'static str = "payments";

    type Error = ViewError;

    fn next(self) -> Pin<Box<dyn Future<Output = Read<Self>>>> {
        Box::pin(self.read())
    }
}

impl Exported {
    async fn read(mut self) -> Read<Self> {
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
