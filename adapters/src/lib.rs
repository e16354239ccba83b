//! Implementations of the domain's ports: the only crate that knows SQL, stored encodings, provider JSON, files and the OS clock.
//!
//! # Layout
//! * [`clock`], [`entropy`], [`provider_keys`] the small ports
//! * [`data_dir`] the locked folder that holds everything embedded
//! * [`journal_place`] where the journal of a data folder is; [`folder_note`] how such things are noted; [`journal_move`] moving it between a folder and a database; [`backup`] copies of all of it
//! * [`journal`] in memory, on SQLite and in PostgreSQL; [`postgres`] how that is reached, and who has its shards; [`schema`] the stored forms, one module per version
//! * [`audit`] signed heads of the journal in a second place, and proofs
//! * [`replica`] a second copy of the journal's bytes; [`integrity`] compares the copies and restores one from the others
//! * [`snapshots`] shard snapshots; [`views`] the payments view; [`keys`] the key index
//! * [`secrets`] merchants' credentials, sealed; [`card_vault`] customers and saved cards; [`payment_links`] links under which customers pay
//! * [`redis`] a server of it; [`cache`] copies of what was read lately, in memory and there; [`velocity_copies`] what risk counts, for others to see; [`shared_limits`] what is left of allowances there
//! * [`webhooks`] signing, and a client that connects to public addresses alone
//! * [`providers`] one folder per provider; [`api_client`] speaks to a node of our own

pub mod api_client;
pub mod audit;
pub mod backup;
mod base64;
pub mod cache;
pub mod card_vault;
pub mod clock;
pub mod data_dir;
pub mod digests;
pub mod entropy;
pub mod folder_note;
pub mod integrity;
pub mod journal;
pub mod journal_move;
pub mod journal_place;
pub mod keys;
pub mod mirror;
pub mod payment_links;
pub mod postgres;
pub mod provider_keys;
pub mod providers;
pub mod redis;
pub mod replica;
pub mod schema;
pub mod secret_file;
pub mod secrets;
pub mod shared_limits;
pub mod snapshots;
mod store_file;
pub mod velocity_copies;
pub mod views;
pub mod webhooks;
