//! Allowances of API keys and of payment links in Redis, under `florin:limit:key:{id}` and `florin:limit:link:{id}`: of each the time at which it is
//! full again, in microseconds of that server's clock, for as long as it is not. Nothing is there of what nobody has asked lately.
//!
//! One script moves that time on. It goes by what each process says of itself, so an allowance that was lost there, in part or whole, is told anew by
//! whoever spends of it next, and nobody owes more than he may spend at once, whatever stands there and however clocks jump.

use crate::redis::{Redis, Unreachable};
use florin_domain::ports::{BoxFuture, LimitedBy, SharedLimits, Spent};
use fred::prelude::Value;

#[cfg(test)]
mod tests;

/// What a name begins with, which no space of the caches does: theirs go on with digits of base 16.
const PREFIX: &str = "florin:limit";

/// The time is the first argument, or else the server's. Then come three of each allowance, all of them durations: what was spent, what its process
/// alone has spent that is not back yet, and how long it takes to come back from nothing.
///
/// More may have been spent than there was, by processes that had not heard of each other. That is owed, up to as much as there is in all: were it
/// forgiven, each of them could spend as much as comes back, time and again.
///
/// What cannot be kept is answered all the same, and what stands there and is no time, or one that nobody can have told (a clock that went back, another
/// allowance), counts as nothing.
const SPEND: &str = "
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local full_after = {}
for i = 1, #KEYS do
  local spent, own, whole = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  local kept = redis.pcall('GET', KEYS[i])
  kept = type(kept) == 'string' and string.match(kept, '^%d+$') and tonumber(kept) or 0
  if kept > now + 2 * whole then kept = 0 end
  local full_at = math.min(math.max(kept + spent, now + own), now + 2 * whole)
  local after = full_at - now
  if after > 0 then
    redis.pcall('SET', KEYS[i], string.format('%.0f', full_at), 'PX', math.ceil(after / 1000))
  end
  full_after[i] = math.max(after, 0)
end
return full_after";

fn name(whose: LimitedBy) -> String {
    match whose {
        LimitedBy::Key(id) => format!("{PREFIX}:key:{id}"),
        LimitedBy::Link(id) => format!("{PREFIX}:link:{id}"),
    }
}

fn us(us: u64) -> Value {
    i64::try_from(us).unwrap_or(i64::MAX).into()
}

/// The script's answer at a time of its server's clock, or at one that is given.
async fn spend(redis: &Redis, spent: Vec<Spent>, at_us: Option<i64>) -> Result<Vec<u64>, Unreachable> {
    let asked = spent.len();
    let mut keys = Vec::with_capacity(asked);
    let mut arguments: Vec<Value> = Vec::with_capacity(asked * 3 + 1);
    arguments.push(at_us.map_or_else(|| "".into(), Value::from));
    for Spent {
        whose,
        untold_us,
        own_us,
        whole_us,
    } in spent
    {
        keys.push(name(whose));
        arguments.extend([untold_us, own_us, whole_us].map(us));
    }
    let answer: Vec<i64> = redis.run(SPEND, keys, arguments).await?;
    if answer.len() != asked {
        return Err(Unreachable("an answer of another length".to_owned()));
    }
    let full_after_us = answer.into_iter().map(|us| u64::try_from(us).unwrap_or(0));
    Ok(full_after_us.collect())
}

impl SharedLimits for Redis {
    fn exchange(&self, spent: Vec<Spent>) -> BoxFuture<'_, Option<Vec<u64>>> {
        Box::pin(async move { spend(self, spent, None).await.ok() })
    }
}
