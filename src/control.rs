//! Merchants and keys, made by commands. Secrets are shown once and stored as digests.

use anyhow::Context as _;
use florin_actors::context::Context;
use florin_adapters::digests;
use florin_domain::ids::{ApiKeyId, MerchantId, ShardId, compose};
use florin_domain::merchant::{ApiKey, ApiKeyRole, ControlEvent, Merchant};
use florin_domain::money::FeeSchedule;
use florin_supervisors::platform::Platform;
use std::fmt::Write;

/// Fee of the development merchant and of merchants made without another: 2.9 % and 0.30.
pub(crate) fn standard_fee() -> anyhow::Result<FeeSchedule> {
    Ok(FeeSchedule::new(290, "0.30".parse()?)?)
}

fn fresh(context: &Context, shard: ShardId) -> u128 {
    compose(context.ports.clock.now(), shard, context.ports.entropy.next_u64())
}

/// Registers a merchant, whose payments and accounts a shard is to have.
pub(crate) async fn create_merchant(
    platform: &Platform,
    shard: ShardId,
    name: &str,
    fee: FeeSchedule,
) -> anyhow::Result<MerchantId> {
    let id = MerchantId::from_bits(fresh(platform.context(), shard));
    let merchant = Merchant {
        id,
        name: name.to_owned(),
        first_fee: fee,
    };
    platform
        .ledger()
        .record_control(ControlEvent::MerchantCreated(merchant))
        .await?;
    Ok(id)
}

/// Issues a key for a given secret.
pub(crate) async fn create_key(
    platform: &Platform,
    role: ApiKeyRole,
    livemode: bool,
    secret: &str,
) -> anyhow::Result<ApiKeyId> {
    let id = ApiKeyId::from_bits(fresh(platform.context(), ShardId::FIRST));
    let key = ApiKey {
        id,
        role,
        livemode,
        secret_sha256: digests::secret_sha256(secret),
    };
    platform
        .ledger()
        .record_control(ControlEvent::ApiKeyCreated(key))
        .await?;
    Ok(id)
}

/// A new secret: its kind, its mode and 192 random bits.
pub(crate) fn new_secret(platform: &Platform, role: ApiKeyRole, livemode: bool) -> anyhow::Result<String> {
    let kind = match role {
        ApiKeyRole::Merchant(_) => "sk",
        ApiKeyRole::Operator => "ok",
    };
    let mode = if livemode { "live" } else { "test" };
    let mut secret = format!("{kind}_{mode}_");
    for _ in 0..3 {
        write!(secret, "{:016x}", platform.context().ports.entropy.next_u64()).context("writing a secret")?;
    }
    Ok(secret)
}
