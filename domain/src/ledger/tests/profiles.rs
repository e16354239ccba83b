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
    assert_eq!(unfit(PROFILES[0]), ["settlement_with_fee"]);
    assert_eq!(unfit(PROFILES[1]), ["payment_with_fee", "payment_recorded"]);
    assert_eq!(unfit(PROFILES[2]), ["settlement_with_fee"]);
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
