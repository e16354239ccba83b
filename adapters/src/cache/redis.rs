//! How Redis keeps the second tier.

use super::shared::{KeyValues, Numbered, Put};
use crate::redis::{Redis, Unreachable};
use florin_domain::ports::BoxFuture;
use fred::prelude::Value;
use std::time::Duration;

/// The number and the entries, if the number is the one before. A lifetime of zero takes an entry away.
const WRITE: &str = "
if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then return 0 end
for i = 2, #KEYS do
  local lifetime = tonumber(ARGV[2 * i])
  if lifetime > 0 then redis.call('SET', KEYS[i], ARGV[2 * i + 1], 'EX', lifetime) else redis.call('DEL', KEYS[i]) end
end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1";

impl KeyValues for Redis {
    fn read(&self, keys: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<Vec<u8>>>, Unreachable>> {
        Box::pin(self.values(keys))
    }

    fn write(&self, numbered: Numbered, puts: Vec<Put>) -> BoxFuture<'_, Result<bool, Unreachable>> {
        Box::pin(async move {
            let seconds = |lifetime: Duration| i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
            let mut keys = vec![numbered.key];
            let mut arguments: Vec<Value> = vec![
                numbered.before.to_string().into(),
                numbered.number.to_string().into(),
                seconds(numbered.lifetime).into(),
            ];
            for Put { key, value, lifetime } in puts {
                keys.push(key);
                let lifetime_s = value.as_ref().map_or(0, |_| seconds(lifetime));
                arguments.push(lifetime_s.into());
                arguments.push(Value::Bytes(value.unwrap_or_default().into()));
            }
            Ok(self.run::<i64>(WRITE, keys, arguments).await? == 1)
        })
    }
}
