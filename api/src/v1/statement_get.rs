//! `GET /v1/ledger/balance_sheet` and `/v1/ledger/income_statement`: what the books come to by type of account, for operators.

use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter, named};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ledger::Statement;
use serde::Serialize;
use serde_json::json;

#[derive(Debug, Serialize)]
struct StatementsBody<T> {
    object: &'static str,
    as_of_seq: Option<u64>,
    data: Vec<T>,
}

#[derive(Debug, Serialize)]
struct BalanceSheet {
    currency: &'static str,
    livemode: bool,
    assets: i128,
    liabilities: i128,
    equity: i128,
    revenue: i128,
    expenses: i128,
    net_income: i128,
    difference: i128,
}

#[derive(Debug, Serialize)]
struct IncomeStatement {
    currency: &'static str,
    livemode: bool,
    revenue: i128,
    expenses: i128,
    net_income: i128,
}

fn balance_sheet_of(statement: &Statement) -> BalanceSheet {
    BalanceSheet {
        currency: statement.currency.code(),
        livemode: statement.livemode,
        assets: statement.assets_minor,
        liabilities: statement.liabilities_minor,
        equity: statement.equity_minor,
        revenue: statement.revenue_minor,
        expenses: statement.expenses_minor,
        net_income: statement.net_income_minor(),
        difference: statement.difference_minor(),
    }
}

fn income_of(statement: &Statement) -> IncomeStatement {
    IncomeStatement {
        currency: statement.currency.code(),
        livemode: statement.livemode,
        revenue: statement.revenue_minor,
        expenses: statement.expenses_minor,
        net_income: statement.net_income_minor(),
    }
}

pub(crate) async fn balance_sheet(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(get(&state, &request, "balance_sheet", balance_sheet_of).await)
}

pub(crate) async fn income_statement(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(get(&state, &request, "income_statement", income_of).await)
}

async fn get<T: Serialize>(
    state: &State,
    request: &HttpRequest,
    object: &'static str,
    row: impl Fn(&Statement) -> T,
) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    query::none(request)?;
    let (statements, as_of) = state.ledger.statements().await?;
    let data = statements.iter().map(row).collect();
    json(
        StatusCode::OK,
        &StatementsBody {
            object,
            as_of_seq: as_of.map(|seq| seq.0),
            data,
        },
    )
}

pub(crate) fn described_balance_sheet() -> Endpoint {
    let example = json!({
        "object": "balance_sheet", "as_of_seq": 6,
        "data": [{
            "currency": "USD", "livemode": false, "assets": 10_000, "liabilities": 9_680, "equity": 0, "revenue": 320, "expenses": 0,
            "net_income": 320, "difference": 0,
        }],
    });
    Endpoint::get("/v1/ledger/balance_sheet", Access::Operators)
        .called(
            "getBalanceSheet",
            "Read the balance sheet",
            "Assets = liabilities + equity + net income, from all accounts, those of payments and those that were opened.",
        )
        .in_chapter(chapter::LEDGER)
        .answers(200, "The sums by type of account.", named("BalanceSheet"), example)
        .refuses(503, &[Code::Overloaded])
}

pub(crate) fn described_income_statement() -> Endpoint {
    let example = json!({
        "object": "income_statement", "as_of_seq": 6,
        "data": [{"currency": "USD", "livemode": false, "revenue": 320, "expenses": 0, "net_income": 320}],
    });
    Endpoint::get("/v1/ledger/income_statement", Access::Operators)
        .called(
            "getIncomeStatement",
            "Read the income statement",
            "Revenue less expenses, from the first entry on.",
        )
        .in_chapter(chapter::LEDGER)
        .answers(
            200,
            "What was earned and spent.",
            named("IncomeStatement"),
            example,
        )
        .refuses(503, &[Code::Overloaded])
}
