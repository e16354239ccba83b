//! Who may have signed an event of Stripe's, and whether it may be read at all.

use super::events;
use super::signature::{HEADER, STRANGE, Seal, WebhookSecret};
use crate::secrets::{Book, Held, is_stripe_test_key};
use florin_domain::credentials::Credentials;
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::ports::{Clock, NoticeReader};
use florin_domain::provider::{Compared, Letter, Notice, NoticeRefusal, ProviderId, Signer};
use std::sync::Arc;

/// One configured account.
#[derive(Clone, Debug)]
struct Account {
    provider: ProviderId,
    /// Its key moves real money.
    livemode: bool,
    /// Several while one is replaced by another; none if the account sends no events.
    secrets: Vec<WebhookSecret>,
}

/// Reads the events of all configured accounts.
#[derive(Clone, Debug)]
pub struct StripeNotices {
    accounts: Vec<Account>,
    /// What merchants have of their own.
    book: Option<Arc<Book>>,
    clock: Arc<dyn Clock>,
}

impl StripeNotices {
    /// Reads those of no account yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            accounts: Vec::new(),
            book: None,
            clock,
        }
    }

    /// Reads those of one more account, whose requests carry this key.
    #[must_use]
    pub fn with(mut self, provider: ProviderId, secret_key: &str, secrets: Vec<WebhookSecret>) -> Self {
        self.accounts.push(Account {
            provider,
            livemode: !is_stripe_test_key(secret_key),
            secrets,
        });
        self
    }

    /// Reads those of merchants with accounts of their own, too.
    #[must_use]
    pub fn with_credentials(self, book: Arc<Book>) -> Self {
        let book = Some(book);
        Self { book, ..self }
    }

    fn account(&self, provider: ProviderId) -> Option<&Account> {
        self.accounts.iter().find(|account| account.provider == provider)
    }

    /// The sets with a webhook secret that merchants have present.
    fn own_sets(&self, provider: ProviderId) -> impl Iterator<Item = (MerchantId, Held)> {
        let own = self.book.iter().flat_map(move |book| book.everybodys(provider));
        own.filter(|(_, held)| match &*held.credentials {
            Credentials::Stripe(set) => set.webhook_secret.is_some(),
            Credentials::Adyen(_) => false,
        })
    }

    /// Who may have signed for this provider, of those whose secrets are compared.
    fn signers(&self, account: &Account, compared: Compared) -> Vec<Candidate> {
        let configured = (!account.secrets.is_empty()).then(|| Candidate {
            merchant: None,
            livemode: account.livemode,
            secrets: account.secrets.clone(),
        });
        let own = self
            .own_sets(account.provider)
            .filter(|(merchant, _)| compared.is_with(*merchant));
        let own = own.filter_map(|(merchant, held)| match &*held.credentials {
            Credentials::Stripe(set) => Some(Candidate {
                merchant: Some(merchant),
                livemode: !is_stripe_test_key(set.secret_key.expose()),
                secrets: vec![WebhookSecret::new(set.webhook_secret.as_ref()?.expose())],
            }),
            Credentials::Adyen(_) => None,
        });
        configured.into_iter().chain(own).collect()
    }
}

/// Who may have signed.
struct Candidate {
    /// Nothing for the platform.
    merchant: Option<MerchantId>,
    livemode: bool,
    secrets: Vec<WebhookSecret>,
}

/// Whose signature it is, of those whose account is of the event's mode.
fn signer(signed: &[&Candidate], livemode: bool) -> Result<Signer, NoticeRefusal> {
    let fitting = signed.iter().filter(|candidate| candidate.livemode == livemode);
    if fitting.clone().any(|candidate| candidate.merchant.is_none()) {
        return Ok(Signer::Platform);
    }
    let merchants: Vec<MerchantId> = fitting.filter_map(|candidate| candidate.merchant).collect();
    if merchants.is_empty() {
        return Err(NoticeRefusal::Malformed {
            field: "livemode",
            why: "is not the mode of the account whose secret signed the event",
        });
    }
    Ok(Signer::Merchants(merchants))
}

impl NoticeReader for StripeNotices {
    fn seal(&self, provider: ProviderId) -> Option<&'static str> {
        self.account(provider).map(|_| HEADER)
    }

    fn names(&self, provider: ProviderId, letter: Letter<'_>) -> Option<PaymentId> {
        self.account(provider)?;
        self.own_sets(provider).next()?;
        // What is not even signed is not looked at.
        Seal::parse(letter.seal, self.clock.now()).ok()?;
        events::payment_named(letter.body)
    }

    fn read(
        &self,
        provider: ProviderId,
        letter: Letter<'_>,
        compared: Compared,
    ) -> Result<Vec<Notice>, NoticeRefusal> {
        let account = self.account(provider).ok_or(NoticeRefusal::NoSuchProvider)?;
        // Before any secret is touched: what is not even signed costs nothing.
        let seal = Seal::parse(letter.seal, self.clock.now());
        if account.secrets.is_empty() && self.own_sets(provider).next().is_none() {
            return Err(NoticeRefusal::NoSuchProvider);
        }
        let candidates = self.signers(account, compared);
        let seal = seal?;
        let fitting: Vec<&Candidate> = candidates
            .iter()
            .filter(|candidate| seal.is_by(&candidate.secrets, letter.body))
            .collect();
        if fitting.is_empty() {
            return Err(STRANGE);
        }
        let event = events::parse(letter.body)?;
        let signer = signer(&fitting, event.livemode)?;
        let told = events::told(&event)?;
        Ok(told
            .into_iter()
            .map(|told| told.noticed(provider, signer.clone()))
            .collect())
    }
}

#[cfg(test)]
mod tests;
