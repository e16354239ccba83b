//! What a list of webhook endpoints asks for.

use super::{cursor, limit, pairs};
use crate::errors::Invalid;
use actix_web::HttpRequest;
use florin_domain::ids::EndpointId;
use florin_domain::ports::EndpointPage;

/// Reads `limit`, `starting_after` and `ending_before`.
pub(crate) fn listed_endpoints(request: &HttpRequest) -> Result<EndpointPage, Invalid> {
    let known = [
        "limit",
        "starting_after",
        "ending_before",
        "expand[]",
        "expand[0]",
    ];
    let pairs = pairs(request, &known)?;
    let read = |text: &str| EndpointId::parse(text).ok().map(EndpointId::bits);
    Ok(EndpointPage {
        limit: limit(&pairs)?,
        starting_after: cursor(&pairs, "starting_after", read)?,
        ending_before: cursor(&pairs, "ending_before", read)?,
    })
}
