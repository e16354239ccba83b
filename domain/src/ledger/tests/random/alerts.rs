//! Alerts as whoever polls every account after every commit would keep them.

use super::*;

/// What an alert comes to when nothing is remembered but its edges.
pub(super) struct PlainAlert {
    account: AccountKey,
    field: usize,
    condition: usize,
    amount: i128,
    /// Whether it was raised, by which commit, and at which value; the oldest first.
    edges: Vec<(bool, u64, i128)>,
}

impl PlainAlert {
    fn value(&self, plain: &PlainLedger) -> i128 {
        match self.field {
            0 => plain.posted(&self.account),
            1 => plain.available(&self.account),
            2 => plain.expected(&self.account, true),
            _ => plain.expected(&self.account, false),
        }
    }

    /// The edge that this commit makes, if it makes one.
    fn poll(&mut self, plain: &PlainLedger, seq: u64) -> Option<(bool, u64, i128)> {
        let value = self.value(plain);
        let is_true = match self.condition {
            0 => value < self.amount,
            1 => value > self.amount,
            2 => value < self.amount + 1,
            _ => value > self.amount - 1,
        };
        if self.edges.last().is_some_and(|edge| edge.0 == is_true) {
            return None;
        }
        self.edges.push((is_true, seq, value));
        self.edges.last().copied()
    }
}

/// All of them, and how often any was raised.
#[derive(Default)]
pub(super) struct PlainAlerts {
    by_id: BTreeMap<u128, PlainAlert>,
    raised: u64,
    drawn: u128,
    /// How often one was raised or armed by a commit that was about something else.
    pub(super) edges: u32,
}

impl World {
    /// Watches several accounts, some of them in several ways.
    pub(super) fn watch_many(&mut self, [place, kind, amount]: [u8; 3]) {
        for number in 0..20 {
            let (place, kind) = (
                place.wrapping_add(number),
                kind.wrapping_add(number.wrapping_mul(7)),
            );
            self.watch([place, kind, amount.wrapping_add(number.wrapping_mul(13))]);
        }
    }

    fn watch(&mut self, [place, kind, amount]: [u8; 3]) {
        let account = self.keys[usize::from(place) % self.keys.len()];
        let (field, condition) = (usize::from(kind % 4), usize::from(kind / 4 % 4));
        self.alerts.drawn += 1;
        let asked = AlertTerms {
            id: AlertId(self.alerts.drawn),
            account,
            field: AlertField::ALL[field],
            condition: AlertCondition::ALL[condition],
            amount_minor: i128::from(amount) * 2 - 150,
            description: None,
            metadata: Vec::new(),
        };
        let is_always_there = matches!(account.name, AccountName::Bank | AccountName::Suspense);
        let is_there = is_always_there || self.plain.there.contains(&account);
        let on_account = self
            .alerts
            .by_id
            .values()
            .filter(|alert| alert.account == account);
        let expected = match on_account.count() {
            _ if !is_there => Err(AlertRefusal::UnknownAccount(account)),
            0..ALERTS_OF_ACCOUNT_MAX => Ok(()),
            _ => Err(AlertRefusal::AccountFull),
        };
        assert_eq!(self.books.check_alert(&asked), expected);
        if expected.is_err() {
            return;
        }
        let place = (self.at(), self.seq.next());
        let mut plain = PlainAlert {
            account,
            field,
            condition,
            amount: asked.amount_minor,
            edges: Vec::new(),
        };
        let edge = plain.poll(&self.plain, place.1.0).unwrap();
        let change = self.books.create_alert(asked.clone(), place).unwrap();
        assert_eq!(
            (change.edge.is_raised, change.edge.seq.0, change.edge.value_minor),
            edge
        );
        self.alerts.raised += u64::from(edge.0);
        self.alerts.by_id.insert(asked.id.0, plain);
        self.record(Recorded::Ledger(LedgerEvent::AlertCreated(asked)));
    }

    /// Stops watching.
    pub(super) fn unwatch(&mut self, place: u8) {
        let ids = self.alerts.by_id.keys().copied();
        let Some(id) = ids.cycle().nth(usize::from(place)) else {
            return;
        };
        self.alerts.by_id.remove(&id);
        assert!(self.books.delete_alert(AlertId(id)).is_some());
        self.record(Recorded::Ledger(LedgerEvent::AlertDeleted(AlertId(id))));
    }

    /// Ends a commit: the edges are those of whoever polls everything.
    pub(super) fn end_commit(&mut self) {
        let place = (self.at(), self.seq);
        let changes = self.books.evaluate_alerts(place);
        let told: BTreeMap<u128, (bool, u64, i128)> = changes
            .iter()
            .map(|change| {
                let edge = change.edge;
                assert_eq!(edge.at, place.0);
                (change.id.0, (edge.is_raised, edge.seq.0, edge.value_minor))
            })
            .collect();
        assert_eq!(told.len(), changes.len(), "one alert, one edge");
        let mut polled = BTreeMap::new();
        for (id, alert) in &mut self.alerts.by_id {
            polled.extend(alert.poll(&self.plain, place.1.0).map(|edge| (*id, edge)));
        }
        assert_eq!(told, polled);
        self.alerts.raised += polled.values().filter(|edge| edge.0).count() as u64;
        self.alerts.edges += u32::try_from(polled.len()).unwrap();
    }

    /// Every alert stands as whoever polls says, and remembers what they saw last.
    pub(super) fn check_alerts(&self) {
        let alerts = self.books.alerts();
        assert_eq!(alerts.raised_total(), self.alerts.raised);
        assert!(
            alerts
                .all()
                .map(|alert| alert.terms.id.0)
                .eq(self.alerts.by_id.keys().copied())
        );
        for alert in alerts.all() {
            let edges = &self.alerts.by_id[&alert.terms.id.0].edges;
            let raised = edges.iter().filter(|edge| edge.0).count();
            assert_eq!(alert.times_raised, raised as u64);
            let remembered = alert
                .history()
                .map(|edge| (edge.is_raised, edge.seq.0, edge.value_minor));
            let last = edges.iter().rev().take(ALERT_HISTORY_MAX).copied();
            assert!(remembered.eq(last), "{alert:?}: {edges:?}");
        }
    }
}
