//! What each change does to the file, within a transaction of the writer.

use super::form;
use super::reader::{blob, ids_of, kept, kept_of, merchant};
use super::seal::{About, FileKey, Trouble};
use florin_domain::announcement::EventPlace;
use florin_domain::ids::EndpointId;
use florin_domain::vault::Owner;
use florin_domain::webhook::{
    ENDPOINTS_MAX, Endpoint, EndpointChange, EndpointRefusal, EndpointSaid, EndpointSecrets, EndpointStatus,
    KeptEndpoint, REPLAYS_MAX, Replay, SigningSecret, WhyDisabled,
};
use rusqlite::{Connection, params};

/// Why a change is not made.
#[derive(Debug)]
pub(super) enum Failure {
    Refused(EndpointRefusal),
    Trouble(Trouble),
}

impl From<EndpointRefusal> for Failure {
    fn from(refusal: EndpointRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<T: Into<Trouble>> From<T> for Failure {
    fn from(trouble: T) -> Self {
        Self::Trouble(trouble.into())
    }
}

/// The tables that know an endpoint besides its own.
const ABOUT_ONE: [&str; 5] = [
    "DELETE FROM progress WHERE endpoint = ?1",
    "DELETE FROM parked WHERE endpoint = ?1",
    "DELETE FROM replay WHERE endpoint = ?1",
    "DELETE FROM delivery WHERE endpoint = ?1",
    // The keys stay: a request that comes a second time must not bring back what was deleted.
    "UPDATE answer SET sealed = x'' WHERE about = ?1",
];

/// One change under way.
pub(super) struct Changing<'a> {
    pub(super) file: &'a Connection,
    pub(super) key: &'a FileKey,
    pub(super) owner: Owner,
}

impl Changing<'_> {
    /// Makes the change. The endpoint after it; of a deletion, before it.
    pub(super) fn make(&self, change: EndpointChange) -> Result<KeptEndpoint, Failure> {
        match change {
            EndpointChange::Create {
                endpoint,
                secret,
                behind,
            } => self.create(endpoint, secret, behind),
            EndpointChange::Say(id, said) => self.say(id, said),
            EndpointChange::Disable(id) => {
                self.kept(id)?;
                disable(self.file, id, WhyDisabled::Asked)?;
                self.kept(id)
            }
            EndpointChange::Enable(id, behind) => self.enable(id, behind),
            EndpointChange::Rotate {
                id,
                secret,
                old_until,
            } => {
                let mut kept = self.kept(id)?;
                let old = std::mem::replace(&mut kept.secrets.current, secret);
                kept.secrets.previous = Some((old, old_until));
                self.put(&kept)?;
                Ok(kept)
            }
            EndpointChange::Delete(id) => self.delete(id),
            EndpointChange::Replay(id, replay) => self.replay(id, replay),
        }
    }

    fn kept(&self, id: EndpointId) -> Result<KeptEndpoint, Failure> {
        let kept = kept_of(self.file, self.key, (self.owner, id))?;
        kept.ok_or_else(|| EndpointRefusal::NoSuchEndpoint.into())
    }

    /// Writes what a merchant says of one that is there.
    fn put(&self, kept: &KeptEndpoint) -> Result<(), Failure> {
        let id = kept.endpoint.id;
        let about = About::Endpoint(self.owner, id);
        let sealed = self.key.seal(about, &form::bytes(kept)?)?;
        let sql = "UPDATE endpoint SET sealed = ?2 WHERE id = ?1";
        self.file
            .prepare_cached(sql)?
            .execute(params![blob(id), sealed])?;
        Ok(())
    }

    fn create(
        &self,
        endpoint: Endpoint,
        secret: SigningSecret,
        behind: EventPlace,
    ) -> Result<KeptEndpoint, Failure> {
        if ids_of(self.file, self.owner)?.len() >= ENDPOINTS_MAX {
            return Err(EndpointRefusal::TooManyEndpoints.into());
        }
        let id = endpoint.id;
        if kept(self.file, self.key, id)?.is_some() {
            return Err(Trouble::Record(format!("{id} is there already")).into());
        }
        let owner = self.owner;
        let secrets = EndpointSecrets {
            current: secret,
            previous: None,
        };
        let endpoint = Endpoint { owner, ..endpoint };
        let kept = KeptEndpoint { endpoint, secrets };
        let sealed = self.key.seal(About::Endpoint(owner, id), &form::bytes(&kept)?)?;
        let sql = "INSERT INTO endpoint (id, shard, merchant, livemode, disabled, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.file.prepare_cached(sql)?.execute(params![
            blob(id),
            id.shard().0,
            merchant(owner),
            owner.livemode,
            form::disabled(kept.endpoint.status),
            sealed
        ])?;
        let sql = "INSERT INTO progress (endpoint, generation, told_seq, told_index) VALUES (?1, 1, ?2, ?3)";
        self.file.prepare_cached(sql)?.execute(params![
            blob(id),
            behind.seq.0.cast_signed(),
            behind.index
        ])?;
        Ok(kept)
    }

    fn say(&self, id: EndpointId, said: EndpointSaid) -> Result<KeptEndpoint, Failure> {
        let mut kept = self.kept(id)?;
        let before = kept.endpoint;
        kept.endpoint = Endpoint {
            url: said.url.unwrap_or(before.url),
            wanted: said.wanted.unwrap_or(before.wanted),
            description: said.description.unwrap_or(before.description),
            metadata: said.metadata.unwrap_or(before.metadata),
            ..before
        };
        self.put(&kept)?;
        Ok(kept)
    }

    fn enable(&self, id: EndpointId, behind: EventPlace) -> Result<KeptEndpoint, Failure> {
        let kept = self.kept(id)?;
        let one = [blob(id)];
        match kept.endpoint.status {
            EndpointStatus::Enabled => return Ok(kept),
            EndpointStatus::Disabled(WhyDisabled::Failing) => {
                let sql = "UPDATE parked SET due_ms = 0 WHERE endpoint = ?1";
                self.file.prepare_cached(sql)?.execute(one)?;
            }
            EndpointStatus::Disabled(WhyDisabled::Asked | WhyDisabled::Gone) => {
                let sql = "UPDATE progress SET told_seq = ?2, told_index = ?3 WHERE endpoint = ?1";
                self.file.prepare_cached(sql)?.execute(params![
                    blob(id),
                    behind.seq.0.cast_signed(),
                    behind.index
                ])?;
                for sql in [
                    "DELETE FROM parked WHERE endpoint = ?1",
                    "DELETE FROM replay WHERE endpoint = ?1",
                ] {
                    self.file.prepare_cached(sql)?.execute(one)?;
                }
            }
        }
        for sql in [
            "UPDATE progress SET generation = generation + 1, failing_since_ms = NULL, failing_in_a_row = NULL WHERE endpoint = ?1",
            "UPDATE endpoint SET disabled = NULL WHERE id = ?1",
        ] {
            self.file.prepare_cached(sql)?.execute(one)?;
        }
        self.kept(id)
    }

    fn delete(&self, id: EndpointId) -> Result<KeptEndpoint, Failure> {
        let kept = self.kept(id)?;
        for sql in ABOUT_ONE
            .into_iter()
            .chain(["DELETE FROM endpoint WHERE id = ?1"])
        {
            self.file.prepare_cached(sql)?.execute([blob(id)])?;
        }
        Ok(kept)
    }

    fn replay(&self, id: EndpointId, replay: Replay) -> Result<KeptEndpoint, Failure> {
        let kept = self.kept(id)?;
        if kept.endpoint.status != EndpointStatus::Enabled {
            return Err(EndpointRefusal::Disabled.into());
        }
        // Each is known by its time.
        let sql = "SELECT count(*), coalesce(max(place), 0) + 1, max(?2, coalesce(max(asked_ms) + 1, 0)) FROM replay WHERE endpoint = ?1";
        let asked_ms = replay.asked_at.unix_ms().cast_signed();
        let (waiting, place, asked_ms): (u32, i64, i64) = self
            .file
            .prepare_cached(sql)?
            .query_row(params![blob(id), asked_ms], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        if usize::try_from(waiting).is_ok_and(|waiting| waiting >= REPLAYS_MAX) {
            return Err(EndpointRefusal::TooManyReplays.into());
        }
        let sql = "INSERT INTO replay (endpoint, place, asked_ms, from_seq, from_index, to_seq, to_index)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.file.prepare_cached(sql)?.execute(params![
            blob(id),
            place,
            asked_ms,
            replay.from.seq.0.cast_signed(),
            replay.from.index,
            replay.to.seq.0.cast_signed(),
            replay.to.index,
        ])?;
        Ok(kept)
    }
}

/// Nothing more is sent to an endpoint. Why it was disabled first stays: from that follows where it goes on.
pub(super) fn disable(file: &Connection, id: EndpointId, why: WhyDisabled) -> Result<(), Trouble> {
    let sql = "UPDATE endpoint SET disabled = ?2 WHERE id = ?1 AND disabled IS NULL";
    file.prepare_cached(sql)?
        .execute(params![blob(id), why.as_str()])?;
    Ok(())
}
