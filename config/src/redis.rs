//! The section `redis`: a server that keeps copies of what is read often.

use crate::secret::{HIDDEN, Secret};
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Where copies are kept besides in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// Of a server; nothing for memory alone.
    pub url: Option<Secret>,
    /// How long an answer of it is waited for.
    pub timeout: Duration,
}

impl RedisSettings {
    pub(crate) fn defaults() -> Self {
        Self {
            url: None,
            timeout: Duration::from_millis(50),
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRedis {
    pub(crate) url: String,
    pub(crate) timeout_ms: u64,
}

impl From<&Settings> for RawRedis {
    fn from(settings: &Settings) -> Self {
        let redis = &settings.redis;
        Self {
            url: redis.url.as_ref().map_or("", |_| HIDDEN).to_owned(),
            timeout_ms: u64::try_from(redis.timeout.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl RawRedis {
    /// The settings.
    pub(crate) fn checked(&self) -> RedisSettings {
        RedisSettings {
            url: Some(&self.url)
                .filter(|url| !url.is_empty())
                .map(|url| Secret::new(url.clone())),
            timeout: Duration::from_millis(self.timeout_ms),
        }
    }
}

/// Whether it names a server of Redis, with TLS or without, and at most the number of a database.
pub(crate) fn is_redis(text: &str) -> bool {
    let rest = ["redis://", "rediss://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let Some(rest) = rest else { return false };
    // Behind the last `@`: a password may have signs of its own.
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let (host, database) = place.split_once('/').unwrap_or((place, ""));
    !host.is_empty()
        && !host.contains(['?', '#'])
        && (database.is_empty() || database.parse::<u8>().is_ok())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::is_redis;

    #[test]
    fn a_server_is_named_by_scheme_place_and_number() {
        for good in [
            "redis://127.0.0.1",
            "redis://:secret@127.0.0.1:6379",
            "rediss://florin:p%40ss@cache.example:6380/3",
        ] {
            assert!(is_redis(good), "{good}");
        }
        for bad in [
            "127.0.0.1:6379",
            "redis://",
            "redis://:secret@",
            "redis-cluster://127.0.0.1",
            "redis-sentinel://127.0.0.1?sentinelServiceName=a",
            "redis://127.0.0.1/sessions",
            "redis://127.0.0.1/300",
            "redis://127.0.0.1?db=1",
            "redis://127.0.0 .1",
        ] {
            assert!(!is_redis(bad), "{bad}");
        }
    }
}
