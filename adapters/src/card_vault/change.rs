//! What each change does to the file, within a transaction of the writer.

mod setup;

use self::setup::Whose;
use super::form;
use super::reader::{Row, row};
use super::tables::Kind;
use super::tenant::{KeyRing, Part, Tenant, Trouble, merchant};
use florin_domain::card_details::{CardDetails, CardInput, Expiry, SecurityCode};
use florin_domain::ids::{CustomerId, MethodId, ShardId, compose};
use florin_domain::ports::{Entropy, VaultKey};
use florin_domain::time::Timestamp;
use florin_domain::token::CardToken;
use florin_domain::vault::{
    CardFacts, Customer, Owner, PROFILE_ENTRIES_MAX, Profile, SavedMethod, SavedToken, TOKEN_LIFETIME,
    VaultChange, VaultObject, VaultRefusal,
};
use rusqlite::{Connection, params};
use std::sync::Arc;

/// Nothing stays of what was answered or asked but the keys: a request that comes a second time must not bring back what was erased.
const FORGET_ANSWERS: &str = "UPDATE answer SET asked = zeroblob(16), sealed = x'' WHERE about = ?1";

/// Why a change is not made.
#[derive(Debug)]
pub(super) enum Failure {
    Refused(VaultRefusal),
    Trouble(Trouble),
}

impl From<VaultRefusal> for Failure {
    fn from(refusal: VaultRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<T: Into<Trouble>> From<T> for Failure {
    fn from(trouble: T) -> Self {
        Self::Trouble(trouble.into())
    }
}

/// What a change came to, and what follows once it is durable.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) object: VaultObject,
    /// A security code that was typed.
    pub(super) code: Option<(MethodId, SecurityCode)>,
    /// Something was erased: these cards have no code any more.
    pub(super) erased: Vec<MethodId>,
}

impl Done {
    fn of(object: VaultObject) -> Self {
        Self {
            object,
            code: None,
            erased: Vec::new(),
        }
    }
}

/// One change under way.
pub(super) struct Changing<'a> {
    pub(super) file: &'a Connection,
    pub(super) keys: &'a mut KeyRing,
    pub(super) entropy: &'a dyn Entropy,
    pub(super) now: Timestamp,
    pub(super) owner: Owner,
}

impl Changing<'_> {
    pub(super) fn make(&mut self, change: VaultChange) -> Result<Done, Failure> {
        match change {
            VaultChange::CreateCustomer { said, method } => self.create_customer(said, method),
            VaultChange::UpdateCustomer { id, said } => {
                let mut customer = self.customer(id)?;
                customer.profile = changed(customer.profile, said)?;
                let object = VaultObject::Customer(customer);
                self.put(&object, None)?;
                Ok(Done::of(object))
            }
            VaultChange::DeleteCustomer { id } => self.delete_customer(id),
            VaultChange::CreateMethod { card, said } => {
                let (method, card, code) = self.new_method(*card, said)?;
                self.put(&VaultObject::Method(method.clone()), Some((&card, None)))?;
                let code = code.map(|code| (method.id, code));
                Ok(Done {
                    code,
                    ..Done::of(VaultObject::Method(method))
                })
            }
            VaultChange::UseToken { token, said } => self.use_token(token, said),
            VaultChange::UpdateMethod { id, said, expiry } => self.update_method(id, said, expiry),
            VaultChange::Attach { id, customer } => self.attach(id, customer).map(Done::of),
            VaultChange::Detach { id } => self.detach(id),
            VaultChange::CreateToken { card, said } => self.create_token(*card, said),
            VaultChange::CreateSetup {
                said,
                off_session,
                confirmed,
            } => self.create_setup(said, off_session, confirmed),
            VaultChange::UpdateSetup { id, said } => self.update_setup(id, said),
            VaultChange::ConfirmSetup { id, confirmed } => self.confirm_setup(id, confirmed),
            VaultChange::CancelSetup { id, reason } => self.cancel_setup(id, reason),
        }
    }

    fn tenant(&mut self) -> Result<Arc<Tenant>, Failure> {
        Ok(self.keys.made(self.file, self.owner)?)
    }

    fn fresh_id(&self) -> u128 {
        compose(self.now, ShardId::FIRST, self.entropy.next_u64())
    }

    fn look(&mut self, key: VaultKey) -> Result<Option<Row>, Failure> {
        Ok(row(self.file, self.keys, self.owner, key, self.now)?)
    }

    fn customer(&mut self, id: CustomerId) -> Result<Customer, Failure> {
        match self.look(VaultKey::Customer(id))?.map(|row| row.object) {
            Some(VaultObject::Customer(customer)) => Ok(customer),
            _ => Err(VaultRefusal::NoSuchCustomer.into()),
        }
    }

    /// A card that may still be changed.
    fn method(&mut self, id: MethodId) -> Result<SavedMethod, Failure> {
        match self.look(VaultKey::Method(id))?.map(|row| row.object) {
            Some(VaultObject::Method(method)) if method.is_detached => Err(VaultRefusal::Detached.into()),
            Some(VaultObject::Method(method)) => Ok(method),
            _ => Err(VaultRefusal::NoSuchMethod.into()),
        }
    }

    fn create_customer(&mut self, said: Profile, method: Option<MethodId>) -> Result<Done, Failure> {
        let customer = Customer {
            id: CustomerId::from_bits(self.fresh_id()),
            created_at: self.now,
            profile: changed(Profile::default(), said)?,
        };
        let id = customer.id;
        let object = VaultObject::Customer(customer);
        self.put(&object, None)?;
        if let Some(method) = method {
            self.attach(method, id)?;
        }
        Ok(Done::of(object))
    }

    fn delete_customer(&mut self, id: CustomerId) -> Result<Done, Failure> {
        self.customer(id)?;
        let bits = id.bits().to_be_bytes();
        let whose = (merchant(self.owner), self.owner.livemode);
        self.erase_setups(Whose::Customers, bits)?;
        let select =
            "SELECT id FROM object WHERE merchant = ?1 AND livemode = ?2 AND customer = ?3 AND kind = 2";
        let mut methods = Vec::new();
        let mut statement = self.file.prepare_cached(select)?;
        let mut rows = statement.query(params![whose.0, whose.1, bits])?;
        while let Some(row) = rows.next()? {
            methods.push(MethodId::from_bits(u128::from_be_bytes(row.get(0)?)));
        }
        for method in &methods {
            self.erase_about(*method)?;
            self.erase(Kind::Method, &method.bits().to_be_bytes())?;
        }
        self.file.prepare_cached(FORGET_ANSWERS)?.execute(params![bits])?;
        self.erase(Kind::Customer, &bits)?;
        let erased = methods;
        Ok(Done {
            erased,
            ..Done::of(VaultObject::CustomerDeleted(id))
        })
    }

    fn erase(&self, kind: Kind, id: &[u8]) -> Result<(), Failure> {
        let sql = "DELETE FROM object WHERE merchant = ?1 AND livemode = ?2 AND kind = ?3 AND id = ?4";
        self.file.prepare_cached(sql)?.execute(params![
            merchant(self.owner),
            self.owner.livemode,
            kind as u8,
            id
        ])?;
        Ok(())
    }

    /// Tokens of a card and answers about it say the same of it.
    fn erase_about(&self, method: MethodId) -> Result<(), Failure> {
        let bits = method.bits().to_be_bytes();
        self.erase_setups(Whose::Cards, bits)?;
        for sql in ["DELETE FROM object WHERE about = ?1", FORGET_ANSWERS] {
            self.file.prepare_cached(sql)?.execute(params![bits])?;
        }
        Ok(())
    }

    fn new_method(
        &mut self,
        card: CardInput,
        said: Profile,
    ) -> Result<(SavedMethod, CardDetails, Option<SecurityCode>), Failure> {
        let (card, code) = card.check(self.now).map_err(VaultRefusal::Card)?;
        let method = SavedMethod {
            id: MethodId::from_bits(self.fresh_id()),
            created_at: self.now,
            card: CardFacts {
                brand: card.brand,
                last4: card.last4(),
                first_digits: card.first_digits().to_owned(),
                expiry: card.expiry,
                fingerprint: self.tenant()?.fingerprint(card.number()),
                had_code: code.is_some(),
            },
            customer: None,
            is_detached: false,
            profile: changed(Profile::default(), said)?,
        };
        Ok((method, card, code))
    }

    fn create_token(&mut self, card: CardInput, said: Profile) -> Result<Done, Failure> {
        let (method, card, code) = self.new_method(card, said)?;
        let entropy = [(); 3].map(|()| self.entropy.next_u64());
        let token = SavedToken {
            id: CardToken::draw(entropy),
            created_at: self.now,
            is_used: false,
            method,
        };
        let until = self.now.plus(TOKEN_LIFETIME);
        let (id, method) = (token.method.id, VaultObject::Method(token.method.clone()));
        let token = VaultObject::Token(token);
        self.put(&method, Some((&card, Some(until))))?;
        self.put(&token, None)?;
        Ok(Done {
            code: code.map(|code| (id, code)),
            ..Done::of(token)
        })
    }

    fn use_token(&mut self, id: CardToken, said: Profile) -> Result<Done, Failure> {
        let found = self.look(VaultKey::Token(id))?.map(|row| row.object);
        let Some(VaultObject::Token(mut token)) = found else {
            return Err(VaultRefusal::NoSuchToken.into());
        };
        if token.is_used {
            return Err(VaultRefusal::TokenUsed.into());
        }
        token.is_used = true;
        let bits = token.method.id.bits().to_be_bytes();
        // Both stay from now on; before, the card is not there for anybody.
        let sql = "UPDATE object SET expires_ms = NULL WHERE merchant = ?1 AND livemode = ?2 AND kind = ?3 AND id = ?4";
        self.file.prepare_cached(sql)?.execute(params![
            merchant(self.owner),
            self.owner.livemode,
            Kind::Method as u8,
            bits
        ])?;
        let mut method = self.method(token.method.id)?;
        method.profile = changed(method.profile, said)?;
        self.put(&VaultObject::Token(token), None)?;
        let method = VaultObject::Method(method);
        self.put(&method, None)?;
        Ok(Done::of(method))
    }

    fn update_method(
        &mut self,
        id: MethodId,
        said: Profile,
        (month, year): (Option<String>, Option<String>),
    ) -> Result<Done, Failure> {
        let mut method = self.method(id)?;
        method.profile = changed(method.profile, said)?;
        if month.is_some() || year.is_some() {
            let month = month.unwrap_or_else(|| method.card.expiry.month.to_string());
            let year = year.unwrap_or_else(|| method.card.expiry.year.to_string());
            method.card.expiry = Expiry::parse(&month, &year, self.now).map_err(VaultRefusal::Card)?;
        }
        let object = VaultObject::Method(method);
        self.put(&object, None)?;
        Ok(Done::of(object))
    }

    fn attach(&mut self, id: MethodId, customer: CustomerId) -> Result<VaultObject, Failure> {
        self.customer(customer)?;
        let mut method = self.method(id)?;
        if method.customer.is_some_and(|other| other != customer) {
            return Err(VaultRefusal::Attached.into());
        }
        method.customer = Some(customer);
        let object = VaultObject::Method(method);
        self.put(&object, None)?;
        Ok(object)
    }

    fn detach(&mut self, id: MethodId) -> Result<Done, Failure> {
        let mut method = self.method(id)?;
        method.customer = None;
        method.is_detached = true;
        let object = VaultObject::Method(method);
        self.put(&object, None)?;
        self.erase_about(id)?;
        let sql =
            "UPDATE object SET card = NULL WHERE merchant = ?1 AND livemode = ?2 AND kind = ?3 AND id = ?4";
        let bits = id.bits().to_be_bytes();
        self.file.prepare_cached(sql)?.execute(params![
            merchant(self.owner),
            self.owner.livemode,
            Kind::Method as u8,
            bits
        ])?;
        Ok(Done {
            erased: vec![id],
            ..Done::of(object)
        })
    }

    /// Writes an object, and its number when it is new. A row that is there keeps its number, its time to live, and the customer that it had.
    fn put(
        &mut self,
        object: &VaultObject,
        card: Option<(&CardDetails, Option<Timestamp>)>,
    ) -> Result<(), Failure> {
        let tenant = self.tenant()?;
        let (kind, id, customer, about) = match object {
            VaultObject::Customer(customer) => (
                Kind::Customer,
                customer.id.bits().to_be_bytes().to_vec(),
                None,
                None,
            ),
            VaultObject::Method(method) => {
                let customer = method.customer.map(|customer| customer.bits().to_be_bytes());
                (
                    Kind::Method,
                    method.id.bits().to_be_bytes().to_vec(),
                    customer,
                    None,
                )
            }
            VaultObject::Token(token) => {
                let about = token.method.id.bits().to_be_bytes();
                (
                    Kind::Token,
                    token.id.body().as_bytes().to_vec(),
                    None,
                    Some(about),
                )
            }
            VaultObject::Setup(setup) => {
                let customer = setup.customer.map(|customer| customer.bits().to_be_bytes());
                let about = setup.method.filter(|_| customer.is_none());
                (
                    Kind::Setup,
                    setup.id.bits().to_be_bytes().to_vec(),
                    customer,
                    about.map(|method| method.bits().to_be_bytes()),
                )
            }
            VaultObject::Mandate(mandate) => {
                let customer = mandate.customer.map(|customer| customer.bits().to_be_bytes());
                let about = customer.is_none().then(|| mandate.method.bits().to_be_bytes());
                (
                    Kind::Mandate,
                    mandate.id.bits().to_be_bytes().to_vec(),
                    customer,
                    about,
                )
            }
            VaultObject::CustomerDeleted(_) => return Ok(()),
        };
        let sealed = tenant.seal(Part::Said(kind), &id, &form::bytes(object)?)?;
        let mut until = card.and_then(|(_, until)| until);
        if let VaultObject::Token(token) = object
            && !token.is_used
        {
            until = Some(token.created_at.plus(TOKEN_LIFETIME));
        }
        let number = card
            .map(|(card, _)| tenant.seal(Part::Number, &id, &form::card_bytes(card)?))
            .transpose()?;
        let sql = "INSERT INTO object (merchant, livemode, kind, id, customer, about, expires_ms, sealed, card)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                   ON CONFLICT (merchant, livemode, kind, id) DO UPDATE SET customer = coalesce(excluded.customer, customer),
                   about = excluded.about, sealed = excluded.sealed, expires_ms = CASE WHEN kind = 3 THEN excluded.expires_ms ELSE expires_ms END";
        let until = until.map(|until| until.unix_ms().cast_signed());
        self.file.prepare_cached(sql)?.execute(params![
            merchant(self.owner),
            self.owner.livemode,
            kind as u8,
            id,
            customer,
            about,
            until,
            sealed,
            number
        ])?;
        Ok(())
    }
}

fn changed(mut profile: Profile, said: Profile) -> Result<Profile, VaultRefusal> {
    profile.change(said);
    let fits = profile.0.len() <= PROFILE_ENTRIES_MAX;
    fits.then_some(profile).ok_or(VaultRefusal::TooMuch)
}

/// Which object an answer is about: when that is erased, so is the answer.
pub(super) fn about(object: &VaultObject) -> [u8; 16] {
    match object {
        VaultObject::Customer(customer) => customer.id.bits(),
        VaultObject::CustomerDeleted(id) => id.bits(),
        VaultObject::Method(method) => method.id.bits(),
        VaultObject::Token(token) => token.method.id.bits(),
        VaultObject::Setup(setup) => setup.id.bits(),
        VaultObject::Mandate(mandate) => mandate.id.bits(),
    }
    .to_be_bytes()
}
