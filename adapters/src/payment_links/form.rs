//! How a link is written into its row. What was written once is read for good: fields may be added, with a default.

use florin_domain::ids::PaymentLinkId;
use florin_domain::money::{Amount, Currency};
use florin_domain::payment::CaptureMethod;
use florin_domain::payment_link::{LinkTerms, PaymentLink};
use florin_domain::vault::Owner;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// The terms of a link, and whether it may be paid. Amounts are texts: JSON's numbers are not wide enough.
#[derive(Debug, Serialize, Deserialize)]
struct Form<'a> {
    active: bool,
    amount: String,
    currency: Cow<'a, str>,
    description: Option<Cow<'a, str>>,
    metadata: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    manual_capture: bool,
    customer: Option<Cow<'a, str>>,
    redirect_url: Option<Cow<'a, str>>,
    single_use: bool,
}

/// The text of a link.
pub(super) fn written(link: &PaymentLink) -> Result<String, String> {
    let terms = &link.terms;
    let text = |text: &'_ Option<Arc<str>>| text.as_ref().map(|text| Cow::Owned(text.to_string()));
    let form = Form {
        active: link.is_active,
        amount: terms.amount.minor().to_string(),
        currency: terms.currency.code().into(),
        description: text(&terms.description),
        metadata: terms
            .metadata
            .iter()
            .map(|(name, value)| (name.as_ref().into(), value.as_ref().into()))
            .collect(),
        manual_capture: terms.capture_method == CaptureMethod::Manual,
        customer: text(&terms.customer),
        redirect_url: text(&terms.redirect_url),
        single_use: terms.single_use,
    };
    serde_json::to_string(&form).map_err(|error| error.to_string())
}

/// The link of a text.
pub(super) fn read(id: PaymentLinkId, owner: Owner, text: &str) -> Result<PaymentLink, String> {
    let form: Form<'_> = serde_json::from_str(text).map_err(|error| format!("{id}: {error}"))?;
    let amount = form.amount.parse().ok().and_then(|minor| Amount::new(minor).ok());
    let shared = |text: Option<Cow<'_, str>>| text.map(|text| Arc::from(text.as_ref()));
    Ok(PaymentLink {
        id,
        owner,
        created_at: id.drawn_at(),
        is_active: form.active,
        terms: LinkTerms {
            amount: amount.ok_or_else(|| format!("{id}: its amount is none"))?,
            currency: Currency::parse(&form.currency).map_err(|error| format!("{id}: {error}"))?,
            description: shared(form.description),
            metadata: form
                .metadata
                .iter()
                .map(|(name, value)| (Arc::from(name.as_ref()), Arc::from(value.as_ref())))
                .collect(),
            capture_method: if form.manual_capture {
                CaptureMethod::Manual
            } else {
                CaptureMethod::Automatic
            },
            customer: shared(form.customer),
            redirect_url: shared(form.redirect_url),
            single_use: form.single_use,
        },
        payment: None,
        claims: 0,
    })
}
