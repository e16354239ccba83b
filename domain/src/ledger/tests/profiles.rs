//! Lives of payments: a fee is recognised once, and what a payment did a refund takes back.

use super::templates::{template, terms};
use super::*;

const PROFILES: [(PostingModel, FeeRecognition); 4] = [
    (PostingModel::Marketplace, FeeRecognition::AtPayment),
    (PostingModel::Marketplace, FeeRecognition::AtSettlement),
    (PostingModel::MerchantOfRecord, FeeRecognition::AtPayment),
    (PostingModel::MerchantOfRecord, FeeRecognition::AtSettlement),
];

fn profile((posting, fee_recognition): (PostingModel, FeeRecognition)) -> PostingProfile {
    PostingProfile {
        posting,
        fee_recognition,
    }
}

fn standard(name: &str) -> &'static Template {
    let found = standard_templates()
        .iter()
        .find(|template| template.name() == name);
    found.unwrap_or_else(|| panic!("no template {name}"))
}

fn life(names: &[&str]) -> Result<(), String> {
    let life: Vec<&Template> = names.iter().map(|name| standard(name)).collect();
    check_life(&life).map_err(|error| error.to_string())
}

/// A payment of 100 that recognises 3, and a settlement of 10,000 that recognises 300 of the same payments again.
#[test]
fn d_03_a_payment_and_a_settlement_that_recognise_the_same_fee_are_refused() {
    assert_eq!(
        life(&["payment_with_fee", "settlement_with_fee"]),
        Err(
            "the fee would be recognised twice: template `payment_with_fee` recognises it on `platform_fee` and template \
             `settlement_with_fee` again on `platform_fee`"
                .to_owned()
        )
    );
    // What is all revenue at once has the fee in it.
    assert_eq!(
        life(&["payment_recorded", "settlement_with_fee"]),
        Err(
            "the fee would be recognised twice: template `payment_recorded` recognises it on `payment_revenue` and template \
             `settlement_with_fee` again on `platform_fee`"
                .to_owned()
        )
    );
    assert_eq!(life(&["payment_with_fee", "settlement"]), Ok(()));
    assert_eq!(life(&["payment_gross", "settlement_with_fee"]), Ok(()));
    assert_eq!(life(&["payment_recorded"]), Ok(()));
}

#[test]
fn a_fee_that_is_never_recognised_is_refused() {
    assert_eq!(
        life(&["payment_gross", "settlement"]),
        Err("the fee would never be recognised: neither by template `payment_gross` nor by template `settlement`".to_owned())
    );
}

#[test]
fn every_profile_but_one_is_a_life() {
    for terms in PROFILES {
        let checked = profile(terms).check();
        if terms == (PostingModel::MerchantOfRecord, FeeRecognition::AtSettlement) {
            assert!(matches!(checked, Err(LifeError::Twice { .. })), "{checked:?}");
        } else {
            assert_eq!(checked, Ok(()), "{terms:?}");
        }
    }
    assert_eq!(profile(PROFILES[0]), PostingProfile::default());
}

fn staged(stage: Stage, roles: &str, parameters: &str, lines: &str) -> Template {
    let terms = TemplateTerms {
        stage: Some(stage),
        name: format!("own_{stage}").into(),
        ..terms(roles, parameters, "", lines)
    };
    Template::checked(terms).unwrap()
}

#[test]
fn a_fee_cannot_be_hidden_from_the_check() {
    // Under another name, split among accounts, and inside the gross amount.
    let roles = "from: liability; to: liability; one: revenue; other: revenue";
    let split = staged(
        Stage::Settlement,
        roles,
        "all: gross; ours: fee; part: other",
        "from: debit all; to: credit all - ours; one: credit part; other: credit ours - part",
    );
    let profile_of = |fee_recognition| PostingProfile {
        posting: PostingModel::Marketplace,
        fee_recognition,
    };
    assert!(matches!(
        profile_of(FeeRecognition::AtPayment).check_fits(&split),
        Err(LifeError::Twice { .. })
    ));
    assert_eq!(
        profile_of(FeeRecognition::AtSettlement).check_fits(&split),
        Ok(())
    );
    let twice = staged(
        Stage::Settlement,
        "from: liability; to: liability; one: revenue",
        "all: gross; ours: fee",
        "from: debit all; to: credit all - ours - ours; one: credit ours + ours",
    );
    assert_eq!(
        profile_of(FeeRecognition::AtSettlement).check_fits(&twice),
        Err(LifeError::AtOnce {
            template: "own_settlement".into(),
            on: "one".into(),
            times: 2
        })
    );
    let late = staged(
        Stage::LateCharge,
        "from: asset; one: revenue",
        "all: gross",
        "from: debit all; one: credit all",
    );
    assert!(matches!(
        PostingProfile::default().check_fits(&late),
        Err(LifeError::Misplaced {
            stage: Stage::LateCharge,
            ..
        })
    ));
    let kept = staged(
        Stage::Payment,
        "from: asset; to: liability; held: liability",
        "all: gross; ours: fee",
        "from: debit all; to: credit all - ours; held: credit ours",
    );
    assert!(matches!(
        PostingProfile::default().check_fits(&kept),
        Err(LifeError::Never { .. })
    ));
    assert_eq!(profile_of(FeeRecognition::AtSettlement).check_fits(&kept), Ok(()));
    assert_eq!(kept.recognises(), [], "a liability is not earned");
}

#[test]
fn of_the_standard_templates_those_fit_that_do_not_earn_again() {
    let unfit = |terms| -> Vec<&str> {
        let profile = profile(terms);
        let templates = standard_templates().iter();
        let unfit = templates.filter(|template| profile.check_fits(template).is_err());
        unfit.map(|template| template.name()).collect()
    };
    assert_eq!(
        unfit(PROFILES[0]),
        ["settled_fee_returned", "settlement_with_fee"]
    );
    assert_eq!(
        unfit(PROFILES[1]),
        ["payment_with_fee", "payment_recorded", "merchant_payout"]
    );
    assert_eq!(
        unfit(PROFILES[2]),
        ["settled_fee_returned", "settlement_with_fee"]
    );
}

#[test]
fn a_payout_pays_what_the_settlement_made_due_and_never_passes_it_by_with_the_fee() {
    assert_eq!(
        life(&["payment_with_fee", "settlement", "merchant_payout"]),
        Err(
            "template `merchant_payout` pays from `merchant_receivable`, which template `settlement` has emptied: what is due is \
             where that one put it"
                .to_owned()
        )
    );
    assert_eq!(
        life(&["payment_with_fee", "settlement", "settled_payout"]),
        Ok(())
    );
    assert_eq!(life(&["payment_with_fee", "merchant_payout"]), Ok(()));
    // Who is paid before the settlement has paid no fee yet.
    assert_eq!(
        profile(PROFILES[1])
            .check_fits(standard("merchant_payout"))
            .unwrap_err()
            .to_string(),
        "the fee would never be recognised: neither by template `payment_gross` nor by template `merchant_payout`"
    );
    for terms in &PROFILES[..2] {
        assert_eq!(
            profile(*terms).check_fits(standard("settled_payout")),
            Ok(()),
            "{terms:?}"
        );
    }
}

#[test]
fn a_fee_is_given_back_once_by_the_refund_or_beside_it() {
    let beside = standard("settled_fee_returned");
    assert_eq!(profile(PROFILES[1]).check_fits(beside), Ok(()));
    assert_eq!(
        profile(PROFILES[0]).check_fits(beside).unwrap_err().to_string(),
        "the fee would be returned twice: template `refund_with_fee` returns it with the refund and template \
         `settled_fee_returned` again"
    );
    let own = |lines| {
        staged(
            Stage::Refund,
            "ours: revenue; theirs: liability",
            "part: fee",
            lines,
        )
    };
    let at_settlement = profile(PROFILES[1]);
    assert!(matches!(
        at_settlement.check_fits(&own("ours: debit part + part; theirs: credit part + part")),
        Err(LifeError::AtOnce { times: -2, .. })
    ));
    assert!(matches!(
        at_settlement.check_fits(&own("ours: credit part; theirs: debit part")),
        Err(LifeError::Misplaced {
            stage: Stage::Refund,
            ..
        })
    ));
    let kept = staged(
        Stage::Refund,
        "ours: liability; theirs: liability",
        "part: other",
        "ours: debit part; theirs: credit part",
    );
    for terms in PROFILES {
        assert_eq!(profile(terms).check_fits(&kept), Ok(()), "{terms:?}");
    }
}

/// Templates with their amounts, and what is left on whose account, in minor units.
type Life = (
    &'static [(&'static str, &'static str)],
    &'static [(&'static str, i128)],
);

/// A sale of 100.00 with a fee of 3.20, settled, paid out and then refunded with its fee, under each time of earning it: nobody is
/// left with anything but the merchant, who owes what it was paid out.
#[test]
fn a_life_of_a_payment_ends_where_an_accountant_expects_it() {
    let lives: [Life; 2] = [
        (
            &[
                ("payment_with_fee", "gross 10000 fee 320"),
                ("settlement", "amount 9680"),
                ("settled_payout", "amount 9680"),
                ("refund_with_fee", "gross 10000 fee 320"),
            ],
            &[("bank", -9_680), ("merchant_receivable", -9_680)],
        ),
        (
            &[
                ("payment_gross", "gross 10000"),
                ("settlement_with_fee", "gross 10000 fee 320"),
                ("settled_payout", "amount 9680"),
                ("refund_gross", "gross 10000"),
                ("settled_fee_returned", "fee 320"),
            ],
            &[("bank", -9_680), ("merchant_receivable", -9_680)],
        ),
    ];
    for (life, expected) in lives {
        let mut left: std::collections::BTreeMap<String, i128> = std::collections::BTreeMap::new();
        for (name, amounts) in life {
            let template = standard(name);
            let words: Vec<&str> = amounts.split(' ').collect();
            for ((role, parameter), credit) in template.credits() {
                let given = words.chunks(2).find(|pair| pair[0] == parameter).unwrap();
                let types = &template
                    .terms()
                    .roles
                    .iter()
                    .find(|(other, _)| **other == *role)
                    .unwrap()
                    .1;
                let grows_by_credit = types[0].normal_side() == Side::Credit;
                let minor = i128::from(credit) * given[1].parse::<i128>().unwrap();
                *left.entry(role.to_owned()).or_default() += if grows_by_credit { minor } else { -minor };
            }
        }
        left.retain(|_, minor| *minor != 0);
        let expected: std::collections::BTreeMap<String, i128> = expected
            .iter()
            .map(|(role, minor)| ((*role).to_owned(), *minor))
            .collect();
        assert_eq!(left, expected);
    }
}

#[test]
fn a_refund_that_leaves_something_behind_is_refused() {
    let mut half = standard("refund_with_fee").terms().clone();
    half.lines[1].amount = "gross".into();
    half.lines.remove(2);
    half.roles.remove(2);
    half.parameters.remove(1);
    half.derived.clear();
    let half = Template::checked(half).unwrap();
    let life = [standard("payment_with_fee"), &half];
    assert_eq!(
        check_life(&life).unwrap_err().to_string(),
        "template `refund_with_fee` does not reverse template `payment_with_fee`: `fee` stays on `merchant_receivable`"
    );
}

#[test]
fn rules_take_no_name_twice_and_no_template_that_earns_again() {
    let rules = |own: Vec<Template>| {
        let chart = Chart::default();
        LedgerRules::new(PostingProfile::default(), chart, own).map_err(|error| error.to_string())
    };
    let mut terms = standard("settlement_with_fee").terms().clone();
    let own = template(
        "a: asset; b: liability",
        "x: other",
        "",
        "a: debit x; b: credit x",
    );
    let kept = rules(vec![own.clone()]).unwrap();
    assert_eq!(kept.own_templates().len(), 1);
    assert_eq!(kept.template("sample"), Some(&own));
    assert_eq!(
        rules(vec![own.clone(), own]).unwrap_err(),
        "template `sample` is there already"
    );
    assert!(
        rules(vec![Template::checked(terms.clone()).unwrap()])
            .unwrap_err()
            .ends_with("is there already")
    );
    terms.name = "monthly".into();
    let again = rules(vec![Template::checked(terms).unwrap()]).unwrap_err();
    assert!(
        again.starts_with(
            "template `monthly` does not fit how payments are booked: the fee would be recognised twice"
        ),
        "{again}"
    );
    let refused = LedgerRules::new(profile(PROFILES[3]), Chart::default(), Vec::new());
    assert!(matches!(
        refused,
        Err(RulesError::Profile(LifeError::Twice { .. }))
    ));
}

#[test]
fn the_chart_has_an_account_of_the_right_type_for_every_role() {
    for (role, types, account) in CHART_ROLES {
        if let Some(account) = account {
            assert!(types.contains(&account.account_type()), "{role}");
            assert_eq!(ChartAccount::parse(account.word()), ChartAccount::System(account));
        }
        assert_eq!(
            ChartAccount::parse(Chart::default().account(role).as_str()),
            *Chart::default().account(role)
        );
    }
    let chart = Chart::with([
        ("bank", ChartAccount::parse("bank:city")),
        ("suspense", ChartAccount::Named),
    ])
    .unwrap();
    assert_eq!(chart.account("bank"), &ChartAccount::Opened("bank:city".into()));
    assert_eq!(chart.account("suspense"), &ChartAccount::Named);
    assert_eq!(chart.account("nobody"), &ChartAccount::Named);
    let wrong = Chart::with([("bank", ChartAccount::System(AccountName::Suspense))]).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "`suspense` is of type liability, and `bank` is of type asset"
    );
    // What templates call the roles of the chart takes the types of the chart.
    for template in standard_templates() {
        for (role, types) in &template.terms().roles {
            let (_, of_chart, _) = CHART_ROLES.iter().find(|(name, ..)| *name == &**role).unwrap();
            assert!(
                types.iter().all(|one| of_chart.contains(one)),
                "{role} of {}",
                template.name()
            );
        }
    }
}
