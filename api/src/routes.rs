//! Which path is answered by which file. The paths of the hot path come first, because they are tried in order.

use crate::checkout;
use crate::error_page;
use crate::errors::ApiError;
use crate::openapi;
use crate::reply::Reply;
use crate::stripe::{
    balance_get, balance_transaction_get, balance_transaction_list, charge_capture, charge_get, charge_list,
    dispute_get, dispute_list, payment_intent_cancel, payment_intent_capture, payment_intent_confirm,
    payment_intent_create, payment_intent_get, payment_intent_increment, payment_intent_list,
    payment_intent_search, payment_intent_update, refund_create as stripe_refund_create, refund_get,
    refund_list,
};
use crate::v1::{
    account_create, account_get, account_list, actor_kill, alert_create, alert_delete, alert_get, alert_list,
    attempt_resolve, bin_get, consistency, credentials_delete, credentials_get, credentials_put, customers,
    entry_list, event_get, event_list, event_stream, health, ledger_export, list_entry_create,
    list_entry_delete, list_entry_list, mandates, merchant_fee_get, merchant_fee_set, merchant_freeze,
    merchant_list, metrics_get, payment_capture, payment_confirm, payment_create, payment_export,
    payment_get, payment_history, payment_increment, payment_links, payment_list, payment_methods,
    payment_receipt, payment_void, payment_what_if, period_close, period_list, provider_notice,
    provider_switch, read_only_set, refund_create, review_approve, review_list, review_reject,
    risk_profile_get, risk_profile_set, routing_evaluate, routing_get, routing_set, setup_intents,
    statement_get, template_list, tokens, transfer_create, transfer_get, transfer_revert, tree_get,
    trial_balance_get, unresolved_list, webhook_delivery_list, webhook_endpoints, webhook_resend,
    webhook_secret_rotate,
};
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, Resource, Responder};
use std::future::{Ready, ready};

pub(crate) fn routes(config: &mut ServiceConfig) {
    let payments = web::resource("/v1/payments")
        .route(web::post().to(payment_create::handle))
        .route(web::get().to(payment_list::handle))
        .route(web::head().to(payment_list::handle))
        .default_service(web::to(|| {
            refused(ApiError::MethodNotAllowed {
                allow: "GET, HEAD, POST",
            })
        }));
    let risk_lists = web::resource("/v1/risk/lists")
        .route(web::post().to(list_entry_create::handle))
        .route(web::get().to(list_entry_list::handle))
        .route(web::head().to(list_entry_list::handle))
        .default_service(web::to(|| {
            refused(ApiError::MethodNotAllowed {
                allow: "GET, HEAD, POST",
            })
        }));
    let risk_list_entry = web::resource("/v1/risk/lists/{id}")
        .route(web::delete().to(list_entry_delete::handle))
        .default_service(web::to(|| {
            refused(ApiError::MethodNotAllowed { allow: "DELETE" })
        }));
    let credentials = web::resource("/v1/ops/merchants/{id}/providers/{provider}/credentials")
        .route(web::put().to(credentials_put::handle))
        .route(web::get().to(credentials_get::handle))
        .route(web::head().to(credentials_get::handle))
        .route(web::delete().to(credentials_delete::handle))
        .default_service(web::to(|| {
            refused(ApiError::MethodNotAllowed {
                allow: "DELETE, GET, HEAD, PUT",
            })
        }));
    stripe_like_routes(config);
    config
        .service(payments)
        .service(read_only("/v1/payments/export.csv", payment_export::handle))
        .service(read_only("/v1/payments/{id}", payment_get::handle))
        .service(read_only("/v1/payments/{id}/history", payment_history::handle))
        .service(read_only("/v1/payments/{id}/receipt", payment_receipt::handle))
        .service(posted("/v1/payments/{id}/capture", payment_capture::handle))
        .service(posted(
            "/v1/payments/{id}/increment_authorization",
            payment_increment::handle,
        ))
        .service(posted("/v1/payments/{id}/void", payment_void::handle))
        .service(posted("/v1/payments/{id}/confirm", payment_confirm::handle))
        .service(posted("/v1/payments/{id}/refunds", refund_create::handle))
        .service(posted("/v1/payments/{id}/what_if", payment_what_if::handle));
    stripe_routes(config);
    ledger_routes(config);
    config
        .service(read_only("/v1/events", event_list::handle))
        .service(read_only("/v1/events/stream", event_stream::handle))
        .service(read_only("/v1/events/{id}", event_get::handle))
        .service(read_only("/v1/bins/{bin}", bin_get::handle))
        .service(risk_lists)
        .service(risk_list_entry)
        .service(read_only("/v1/ops/tree", tree_get::handle))
        .service(posted("/v1/ops/tree/{actor}/kill", actor_kill::handle))
        .service(read_only("/v1/ops/consistency", consistency::get))
        .service(posted("/v1/ops/consistency/run", consistency::run))
        .service(posted("/v1/providers/{id}/notices", provider_notice::handle))
        .service(posted("/v1/ops/providers/{id}/disable", provider_switch::disable))
        .service(posted("/v1/ops/providers/{id}/enable", provider_switch::enable))
        .service(posted("/v1/ops/routing/evaluate", routing_evaluate::handle))
        .service(read_only("/v1/ops/merchants", merchant_list::handle))
        .service(posted("/v1/ops/merchants/{id}/freeze", merchant_freeze::freeze))
        .service(posted(
            "/v1/ops/merchants/{id}/unfreeze",
            merchant_freeze::unfreeze,
        ))
        .service(credentials)
        .service(posted("/v1/ops/read_only", read_only_set::handle))
        .service(read_only("/v1/ops/reviews", review_list::handle))
        .service(posted("/v1/ops/reviews/{id}/approve", review_approve::handle))
        .service(posted("/v1/ops/reviews/{id}/reject", review_reject::handle))
        .service(read_only("/v1/ops/unresolved", unresolved_list::handle))
        .service(posted("/v1/ops/attempts/{id}/resolve", attempt_resolve::handle));
    version_routes(config);
    document_routes(config);
    config.default_service(web::to(|| refused(ApiError::NoSuchRoute)));
}

/// What operators put in force version by version.
fn version_routes(config: &mut ServiceConfig) {
    let versioned = |path| {
        web::resource(path).default_service(web::to(|| {
            refused(ApiError::MethodNotAllowed {
                allow: "GET, HEAD, PUT",
            })
        }))
    };
    let routing = versioned("/v1/ops/routing")
        .route(web::put().to(routing_set::handle))
        .route(web::get().to(routing_get::handle))
        .route(web::head().to(routing_get::handle));
    let fees = versioned("/v1/ops/merchants/{id}/fees")
        .route(web::put().to(merchant_fee_set::handle))
        .route(web::get().to(merchant_fee_get::handle))
        .route(web::head().to(merchant_fee_get::handle));
    let risk_profile = versioned("/v1/ops/risk_profile")
        .route(web::put().to(risk_profile_set::handle))
        .route(web::get().to(risk_profile_get::handle))
        .route(web::head().to(risk_profile_get::handle));
    config.service(routing).service(fees).service(risk_profile);
}

/// What says how the node is and what it can do.
fn document_routes(config: &mut ServiceConfig) {
    config
        .service(read_only("/metrics", metrics_get::handle))
        .service(read_only("/healthz", health::live))
        .service(read_only("/readyz", health::ready))
        .service(read_only("/openapi.json", openapi::json))
        .service(read_only("/postman.json", openapi::postman::handle))
        .service(read_only("/docs", openapi::page))
        .service(read_only("/docs/", openapi::page))
        .service(read_only("/docs/style.css", openapi::style))
        .service(read_only("/docs/errors", error_page::index))
        .service(read_only("/docs/errors/", error_page::index))
        .service(read_only("/docs/errors/{page}", error_page::page));
}

/// What Stripe's SDKs ask for.
fn stripe_routes(config: &mut ServiceConfig) {
    let payment_intents = web::resource("/v1/payment_intents")
        .route(web::post().to(payment_intent_create::handle))
        .route(web::get().to(payment_intent_list::handle))
        .route(web::head().to(payment_intent_list::handle))
        .default_service(web::to(|| {
            refused(ApiError::MethodNotAllowed {
                allow: "GET, HEAD, POST",
            })
        }));
    let payment_intent = web::resource("/v1/payment_intents/{id}")
        .route(web::get().to(payment_intent_get::handle))
        .route(web::head().to(payment_intent_get::handle))
        .route(web::post().to(payment_intent_update::handle))
        .default_service(web::to(|| {
            refused(ApiError::MethodNotAllowed {
                allow: "GET, HEAD, POST",
            })
        }));
    let refunds = web::resource("/v1/refunds")
        .route(web::post().to(stripe_refund_create::handle))
        .route(web::get().to(refund_list::handle))
        .route(web::head().to(refund_list::handle))
        .default_service(web::to(|| {
            refused(ApiError::MethodNotAllowed {
                allow: "GET, HEAD, POST",
            })
        }));
    config
        .service(payment_intents)
        .service(read_only(
            "/v1/payment_intents/search",
            payment_intent_search::handle,
        ))
        .service(payment_intent)
        .service(posted(
            "/v1/payment_intents/{id}/confirm",
            payment_intent_confirm::handle,
        ))
        .service(posted(
            "/v1/payment_intents/{id}/capture",
            payment_intent_capture::handle,
        ))
        .service(posted(
            "/v1/payment_intents/{id}/cancel",
            payment_intent_cancel::handle,
        ))
        .service(posted(
            "/v1/payment_intents/{id}/increment_authorization",
            payment_intent_increment::handle,
        ))
        .service(refunds)
        .service(read_only("/v1/refunds/{id}", refund_get::handle))
        .service(read_only("/v1/balance", balance_get::handle))
        .service(read_only(
            "/v1/balance_transactions",
            balance_transaction_list::handle,
        ))
        .service(read_only("/v1/disputes", dispute_list::handle))
        .service(read_only("/v1/disputes/{id}", dispute_get::handle))
        .service(read_only(
            "/v1/balance_transactions/{id}",
            balance_transaction_get::handle,
        ))
        .service(read_only("/v1/charges", charge_list::handle))
        .service(read_only("/v1/charges/{id}", charge_get::handle))
        .service(posted("/v1/charges/{id}/capture", charge_capture::handle));
}

fn ledger_routes(config: &mut ServiceConfig) {
    let ledger_accounts = web::resource("/v1/ledger/accounts")
        .route(web::post().to(account_create::handle))
        .route(web::get().to(account_list::handle))
        .route(web::head().to(account_list::handle))
        .default_service(web::to(|| {
            refused(ApiError::MethodNotAllowed {
                allow: "GET, HEAD, POST",
            })
        }));
    let alerts = web::resource("/v1/ledger/alerts")
        .route(web::post().to(alert_create::handle))
        .route(web::get().to(alert_list::handle))
        .route(web::head().to(alert_list::handle))
        .default_service(web::to(|| {
            refused(ApiError::MethodNotAllowed {
                allow: "GET, HEAD, POST",
            })
        }));
    let alert = web::resource("/v1/ledger/alerts/{id}")
        .route(web::get().to(alert_get::handle))
        .route(web::head().to(alert_get::handle))
        .route(web::delete().to(alert_delete::handle))
        .default_service(web::to(|| {
            refused(ApiError::MethodNotAllowed {
                allow: "DELETE, GET, HEAD",
            })
        }));
    config
        .service(ledger_accounts)
        .service(alerts)
        .service(alert)
        .service(read_only("/v1/ledger/accounts/{id}", account_get::handle))
        .service(read_only("/v1/ledger/accounts/{id}/entries", entry_list::handle))
        .service(read_only("/v1/ledger/entries/export.csv", ledger_export::csv))
        .service(read_only(
            "/v1/ledger/entries/export.jsonl",
            ledger_export::json_lines,
        ))
        .service(posted("/v1/ledger/transfers", transfer_create::handle))
        .service(posted("/v1/ledger/transfers/revert", transfer_revert::handle))
        .service(read_only("/v1/ledger/templates", template_list::handle))
        .service(read_only("/v1/ledger/transfers/{id}", transfer_get::handle))
        .service(read_only("/v1/ledger/periods", period_list::handle))
        .service(posted("/v1/ledger/periods/close", period_close::handle))
        .service(read_only(
            "/v1/ledger/balance_sheet",
            statement_get::balance_sheet,
        ))
        .service(read_only(
            "/v1/ledger/income_statement",
            statement_get::income_statement,
        ))
        .service(read_only("/v1/ledger/trial_balance", trial_balance_get::handle));
}

/// What is ours under Stripe's paths and names.
fn stripe_like_routes(config: &mut ServiceConfig) {
    vault_routes(config);
    webhook_routes(config);
}

fn vault_routes(config: &mut ServiceConfig) {
    let customers = read_and_posted("/v1/customers", customers::list, customers::create);
    let customer = web::resource("/v1/customers/{id}")
        .route(web::post().to(customers::update))
        .route(web::get().to(customers::get))
        .route(web::head().to(customers::get))
        .route(web::delete().to(customers::delete))
        .default_service(web::to(|| {
            refused(ApiError::MethodNotAllowed {
                allow: "DELETE, GET, HEAD, POST",
            })
        }));
    let methods = read_and_posted(
        "/v1/payment_methods",
        payment_methods::list,
        payment_methods::create,
    );
    let method = read_and_posted(
        "/v1/payment_methods/{id}",
        payment_methods::get,
        payment_methods::update,
    );
    let links = read_and_posted("/v1/payment_links", payment_links::list, payment_links::create);
    let link = read_and_posted(
        "/v1/payment_links/{id}",
        payment_links::get,
        payment_links::update,
    );
    config
        .service(customers)
        .service(customer)
        .service(read_only(
            "/v1/customers/{id}/payment_methods",
            payment_methods::list_of_customer,
        ))
        .service(methods)
        .service(method)
        .service(posted("/v1/payment_methods/{id}/attach", payment_methods::attach))
        .service(posted("/v1/payment_methods/{id}/detach", payment_methods::detach))
        .service(links)
        .service(link)
        .service(read_only("/pay/assets/checkout.css", checkout::style))
        .service(read_only("/pay/assets/checkout.js", checkout::script))
        .service(read_only("/pay/assets/icon.svg", checkout::icon))
        .service(read_only("/pay/{id}", checkout::page))
        .service(read_only("/pay/{id}/return", checkout::came_back))
        .service(posted("/pay/{id}/attempts", checkout::attempt))
        .service(posted("/v1/tokens", tokens::create))
        .service(read_only("/v1/tokens/{id}", tokens::get))
        .service(read_and_posted(
            "/v1/setup_intents",
            setup_intents::list,
            setup_intents::create,
        ))
        .service(read_and_posted(
            "/v1/setup_intents/{id}",
            setup_intents::get,
            setup_intents::update,
        ))
        .service(posted("/v1/setup_intents/{id}/confirm", setup_intents::confirm))
        .service(posted("/v1/setup_intents/{id}/cancel", setup_intents::cancel))
        .service(read_only("/v1/mandates/{id}", mandates::get));
}

fn webhook_routes(config: &mut ServiceConfig) {
    let endpoints = web::resource("/v1/webhook_endpoints")
        .route(web::post().to(webhook_endpoints::create))
        .route(web::get().to(webhook_endpoints::list))
        .route(web::head().to(webhook_endpoints::list))
        .default_service(web::to(|| {
            refused(ApiError::MethodNotAllowed {
                allow: "GET, HEAD, POST",
            })
        }));
    let endpoint = web::resource("/v1/webhook_endpoints/{id}")
        .route(web::post().to(webhook_endpoints::update))
        .route(web::get().to(webhook_endpoints::get))
        .route(web::head().to(webhook_endpoints::get))
        .route(web::delete().to(webhook_endpoints::delete))
        .default_service(web::to(|| {
            refused(ApiError::MethodNotAllowed {
                allow: "DELETE, GET, HEAD, POST",
            })
        }));
    config
        .service(endpoints)
        .service(endpoint)
        .service(posted(
            "/v1/webhook_endpoints/{id}/rotate_secret",
            webhook_secret_rotate::handle,
        ))
        .service(read_only(
            "/v1/webhook_endpoints/{id}/deliveries",
            webhook_delivery_list::handle,
        ))
        .service(posted(
            "/v1/webhook_endpoints/{id}/resend",
            webhook_resend::handle,
        ));
}

fn refused(error: ApiError) -> Ready<Reply> {
    ready(Reply(Err(error)))
}

fn posted<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .route(web::post().to(handler))
        .default_service(web::to(|| refused(ApiError::MethodNotAllowed { allow: "POST" })))
}

/// A resource that is read and changed at the same place.
fn read_and_posted<R, ReadArgs, P, PostedArgs>(path: &str, reads: R, posts: P) -> Resource
where
    R: Handler<ReadArgs>,
    ReadArgs: FromRequest + 'static,
    R::Output: Responder + 'static,
    P: Handler<PostedArgs>,
    PostedArgs: FromRequest + 'static,
    P::Output: Responder + 'static,
{
    web::resource(path)
        .route(web::post().to(posts))
        .route(web::get().to(reads.clone()))
        .route(web::head().to(reads))
        .default_service(web::to(|| {
            refused(ApiError::MethodNotAllowed {
                allow: "GET, HEAD, POST",
            })
        }))
}

fn read_only<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
        .default_service(web::to(|| {
            refused(ApiError::MethodNotAllowed { allow: "GET, HEAD" })
        }))
}
