//! Version 1. Every form mirrors one domain type and converts by [`Stored`]: encoding borrows, decoding goes through the domain's
//! checked constructors.
//!
//! FROZEN: the order of fields and of enum variants is the encoding. A variant may be added at the end of its enum; anything else
//! is a new version. Field and variant names appear only in the rendering for people.

mod alert;
mod commit;
mod control;
mod crossing;
mod entry;
mod event;
mod ledger;
mod lists;
mod matter;
pub(crate) mod payment;
mod request;
mod route;
mod routing;
mod scalar;
mod snapshot;
mod spec;
mod versions;

pub(crate) use commit::CommitDto;
pub(crate) use scalar::Stored;
pub(crate) use snapshot::{
    EarlierSnapshotDto, EarliestSnapshotDto, OneKeySnapshotDto, OneShardSnapshotDto, SnapshotDto,
    UnroutedSnapshotDto, UntimedSnapshotDto, UnversionedSnapshotDto, UnwatchedSnapshotDto,
};
