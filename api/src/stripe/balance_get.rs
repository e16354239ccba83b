//! `GET /v1/balance`: what the merchant is owed, in each currency.

use super::answer::{self, Told};
use super::body::balance;
use super::request::asked;
use crate::state::State;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::account_shard::PaymentAccounts;
use florin_domain::ledger::AccountName;

/// More than there are currencies.
const CURRENCIES_MAX: usize = 512;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let told = get(&state, &request).await;
    answer::finished(&state, &request, told)
}

async fn get(state: &State, request: &HttpRequest) -> Told {
    let ((merchant, livemode), params) = asked(state, request)?;
    params.finish()?;
    let wanted = PaymentAccounts {
        of: Some((AccountName::MerchantPayable(merchant), livemode)),
        after: None,
        limit: CURRENCIES_MAX,
    };
    let (accounts, _) = state.ledger.payment_accounts(wanted).await?;
    let owed = accounts.iter().map(|(key, account)| {
        let owed_minor = account.posted.minor();
        (
            key.currency,
            owed_minor.saturating_sub(account.pending_debit_minor),
        )
    });
    answer::object(&balance(livemode, owed))
}
