//! What a process answers that waits for the shards of another one: where that one is.

use crate::errors::ApiError;
use crate::request_id::{self, RequestIds};
use crate::server::{ApiOptions, RunningApi};
use actix_web::dev::Service;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use serde_json::json;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};

/// Where the API of the process is that has the shards; told anew whenever that changes.
#[derive(Clone, Debug, Default)]
pub struct Owner(Arc<Mutex<Option<Arc<str>>>>);

impl Owner {
    /// It is there; nothing if nobody knows.
    pub fn is_at(&self, url: Option<&str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = url.map(Arc::from);
    }

    fn url(&self) -> Option<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers until it is stopped: healthy, not ready, and everything else with the owner's address.
pub fn serve(
    listener: TcpListener,
    owner: Owner,
    options: ApiOptions,
    request_seed: u64,
) -> io::Result<RunningApi> {
    let ids = Arc::new(RequestIds::new(request_seed));
    RunningApi::run(listener, Arc::default(), move |listener| {
        let app = move || {
            let ids = Arc::clone(&ids);
            App::new()
                .app_data(Data::new(owner.clone()))
                .route("/healthz", web::get().to(live))
                .route("/readyz", web::get().to(not_ready))
                .default_service(web::to(elsewhere))
                .wrap_fn(move |request, routes| {
                    let id = ids.next();
                    let answer = routes.call(request);
                    request_id::named(id.clone(), async move {
                        let mut response = answer.await?;
                        let name = HeaderName::from_static("request-id");
                        response.headers_mut().insert(name, id);
                        Ok(response)
                    })
                })
        };
        let server = HttpServer::new(app)
            .workers(1)
            .worker_max_blocking_threads(1)
            .max_connections(options.max_connections)
            .client_request_timeout(options.head_timeout)
            .client_disconnect_timeout(options.disconnect_timeout)
            // Whoever asks here should go elsewhere, and not keep a connection that is about to end.
            .keep_alive(actix_web::http::KeepAlive::Disabled)
            .shutdown_timeout(1)
            .tcp_nodelay(true)
            .disable_signals()
            .listen(listener)?;
        Ok(server.run())
    })
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

async fn not_ready() -> HttpResponse {
    HttpResponse::ServiceUnavailable()
        .insert_header((
            actix_web::http::header::RETRY_AFTER,
            HeaderValue::from_static("1"),
        ))
        .json(json!({"status": "not_ready", "reason": "standby"}))
}

async fn elsewhere(owner: Data<Owner>, request: HttpRequest) -> HttpResponse {
    let error = ApiError::NotOwner { owner: owner.url() };
    error.response(&request)
}
