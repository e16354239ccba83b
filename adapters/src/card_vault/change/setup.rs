//! Owns setting cards up for later charges, and what is recorded of the consent to it.

use super::{Changing, Done, FORGET_ANSWERS, Failure, Kind, changed};
use crate::card_vault::tenant::merchant;
use florin_domain::ids::{CustomerId, MandateId, MethodId, SetupId};
use florin_domain::ports::VaultKey;
use florin_domain::vault::{
    Confirmed, Mandate, Profile, SavedSetup, SetupSaid, SetupStatus, VaultObject, VaultRefusal,
};
use rusqlite::params;

impl Changing<'_> {
    pub(super) fn create_setup(
        &mut self,
        said: SetupSaid,
        off_session: bool,
        confirmed: Option<Confirmed>,
    ) -> Result<Done, Failure> {
        let mut setup = SavedSetup {
            id: SetupId::from_bits(self.fresh_id()),
            created_at: self.now,
            status: SetupStatus::RequiresMethod,
            method: None,
            customer: None,
            off_session,
            mandate: None,
            profile: Profile::default(),
        };
        self.say(&mut setup, said)?;
        if let Some(confirmed) = confirmed {
            self.set_up(&mut setup, confirmed)?;
        }
        self.put_setup(setup)
    }

    pub(super) fn update_setup(&mut self, id: SetupId, said: SetupSaid) -> Result<Done, Failure> {
        let mut setup = self.setup(id)?;
        if setup.status.is_final() && (said.method.is_some() || said.customer.is_some()) {
            return Err(VaultRefusal::SetupIsOver(setup.status).into());
        }
        self.say(&mut setup, said)?;
        self.put_setup(setup)
    }

    pub(super) fn confirm_setup(&mut self, id: SetupId, confirmed: Confirmed) -> Result<Done, Failure> {
        let mut setup = self.setup(id)?;
        if setup.status.is_final() {
            return Err(VaultRefusal::SetupIsOver(setup.status).into());
        }
        self.set_up(&mut setup, confirmed)?;
        self.put_setup(setup)
    }

    pub(super) fn cancel_setup(&mut self, id: SetupId, reason: Option<String>) -> Result<Done, Failure> {
        let mut setup = self.setup(id)?;
        if setup.status.is_final() {
            return Err(VaultRefusal::SetupIsOver(setup.status).into());
        }
        setup.status = SetupStatus::Canceled;
        if let Some(reason) = reason {
            setup.profile.0.insert("cancellation_reason".to_owned(), reason);
        }
        self.put_setup(setup)
    }

    fn setup(&mut self, id: SetupId) -> Result<SavedSetup, Failure> {
        match self.look(VaultKey::Setup(id))?.map(|row| row.object) {
            Some(VaultObject::Setup(setup)) => Ok(setup),
            _ => Err(VaultRefusal::NoSuchSetup.into()),
        }
    }

    fn put_setup(&mut self, setup: SavedSetup) -> Result<Done, Failure> {
        let object = VaultObject::Setup(setup);
        self.put(&object, None)?;
        Ok(Done::of(object))
    }

    /// A card of somebody else's is refused as soon as it is named.
    fn say(&mut self, setup: &mut SavedSetup, said: SetupSaid) -> Result<(), Failure> {
        if let Some(customer) = said.customer {
            self.customer(customer)?;
            setup.customer = Some(customer);
        }
        if let Some(method) = said.method {
            setup.method = Some(method);
            setup.status = SetupStatus::RequiresConfirmation;
        }
        if let Some(method) = setup.method.filter(|_| !setup.status.is_final()) {
            self.check(method, setup.customer)?;
        }
        setup.profile = changed(std::mem::take(&mut setup.profile), said.said)?;
        Ok(())
    }

    fn check(&mut self, method: MethodId, customer: Option<CustomerId>) -> Result<(), Failure> {
        let whose = self.method(method)?.customer;
        if whose.is_some() && whose != customer {
            return Err(VaultRefusal::NotTheCustomers.into());
        }
        Ok(())
    }

    /// The card becomes the customer's, and the consent is recorded.
    fn set_up(&mut self, setup: &mut SavedSetup, confirmed: Confirmed) -> Result<(), Failure> {
        let method = confirmed
            .method
            .or(setup.method)
            .ok_or(VaultRefusal::NoMethodNamed)?;
        self.check(method, setup.customer)?;
        if let Some(customer) = setup.customer {
            self.attach(method, customer)?;
        }
        if let Some(consent) = confirmed.consent {
            let id = MandateId::from_bits(self.fresh_id());
            let mandate = Mandate {
                id,
                created_at: self.now,
                method,
                customer: setup.customer,
                consent: changed(Profile::default(), consent)?,
                is_active: true,
            };
            self.put(&VaultObject::Mandate(mandate), None)?;
            setup.mandate = Some(id);
        }
        (setup.method, setup.status) = (Some(method), SetupStatus::Succeeded);
        Ok(())
    }

    /// What was set up for a customer, or, where none was named, for a card: erased with every answer about it.
    pub(super) fn erase_setups(&self, column: Whose, bits: [u8; 16]) -> Result<(), Failure> {
        let select = format!(
            "SELECT kind, id FROM object WHERE merchant = ?1 AND livemode = ?2 AND {} = ?3 AND kind IN ({}, {})",
            match column {
                Whose::Customers => "customer",
                Whose::Cards => "about",
            },
            Kind::Setup as u8,
            Kind::Mandate as u8,
        );
        let whose = (merchant(self.owner), self.owner.livemode);
        let mut found: Vec<(u8, [u8; 16])> = Vec::new();
        let mut statement = self.file.prepare_cached(&select)?;
        let mut rows = statement.query(params![whose.0, whose.1, bits])?;
        while let Some(row) = rows.next()? {
            found.push((row.get(0)?, row.get(1)?));
        }
        for (kind, id) in found {
            self.file.prepare_cached(FORGET_ANSWERS)?.execute(params![id])?;
            let kind = if kind == Kind::Setup as u8 {
                Kind::Setup
            } else {
                Kind::Mandate
            };
            self.erase(kind, &id)?;
        }
        Ok(())
    }
}

/// By what it is found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
    Customers,
    Cards,
}
