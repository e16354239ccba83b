//! What the core asks of the world. Traits only: declaring them performs nothing. At most five methods each, none with a default.

mod announced;
mod client_secret;
mod clock;
mod journal;
mod keys;
mod listing;
mod moved;
mod ops;
mod ownership;
mod past;
mod payment_links;
mod provider;
mod receipt;
mod refunded;
mod secrets;
mod shared_limits;
mod snapshot;
mod vault;
mod velocity;
mod views;
mod webhooks;

pub use crate::announcement::EventRow;
pub use announced::{AnnouncingCommit, EventsPage, EventsQuery, ShownEvent};
pub use client_secret::ClientSecrets;
pub use clock::{Clock, Entropy, ProviderKeys};
pub use journal::{AppendError, Batch, Head, Journal, ReadError};
pub use keys::{KeyIndex, KeyRecord, TransferIndex};
pub use listing::{ListOrder, PaymentsFilter, PaymentsPage, PaymentsQuery, StatusName, dated_s, search};
pub use moved::{
    MovedBy, MovedEntry, MovedIndex, MovedKind, MovedPage, MovedPlace, MovedQuery, MovedRow, charged_last,
    entries_of, moved_of,
};
pub use ops::{KillRefusal, OpsView, ProviderStanding, TreeNode};
pub use ownership::Ownership;
pub use past::{Past, PastCommit};
pub use payment_links::{ChangedLink, LinkClaim, LinkOnce, LinkPage, LinksError, PaymentLinks};
pub use provider::{AttemptRequest, KeyOwners, NoticeReader, ParentCharge, Provider};
pub use receipt::{Receipt, ReceiptSignature, ReceiptSigner};
pub use refunded::{RefundPlace, RefundsQuery, refunds_of};
pub use secrets::{Begun, DataKey, Kek, KekError, KekId, PresentCredentials, Secrets, SecretsError};
pub use shared_limits::{LimitedBy, SharedLimits, Spent};
pub use snapshot::{ShardSnapshot, SnapshotError, Snapshots};
pub use vault::{CardVault, ChargedCards, ShownCards, VaultError, VaultKey, VaultObjects};
pub use velocity::{CountedEvent, VelocityCopies};
pub use views::{Follower, PaymentRow, PaymentView, ShownPayments, ViewError, Views, WaitingQuery};
pub use webhooks::{
    Delivery, DeliveryBook, DeliveryEnd, EndpointChanged, EndpointError, EndpointPage, EndpointStore,
    EventBodies, ListedEndpoints, NumberedDeliveries, WebhookClient, WebhookSigner,
};

use std::future::Future;
use std::pin::Pin;

/// A future of a port whose implementation is chosen at run time.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
