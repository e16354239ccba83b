//! The ledger's section: profiles, the chart, and the operators' own templates.

use super::refusals::refusal;
use super::{REFERENCE, defaults, dev};
use crate::Mode;
use florin_domain::ledger::{ChartAccount, FeeRecognition, PostingModel};

const TIP: &str = "[[ledger.templates]]
name = \"tip\"
roles = { customer = [\"asset\", \"liability\"], waiter = \"liability\" }
parameters = { amount = \"other\" }
lines = [{ role = \"customer\", side = \"debit\", amount = \"amount\" }, { role = \"waiter\", side = \"credit\", amount = \"amount\" }]
";

/// What a file with this template comes to, after one change of it.
fn changed(from: &str, to: &str) -> String {
    assert!(TIP.contains(from), "{from}");
    refusal(&TIP.replacen(from, to, 1), &[], Mode::Dev)
}

#[test]
fn templates_of_the_file_join_the_standard_ones_and_are_described() {
    let settings = dev(&format!("{TIP}{}", TIP.replace("\"tip\"", "\"tip_2\"")), &[]);
    let rules = &settings.actors.ledger;
    let names: Vec<&str> = rules.own_templates().iter().map(|own| own.name()).collect();
    assert_eq!(names, ["tip", "tip_2"]);
    assert!(rules.template("payment_with_fee").is_some());
    assert_eq!(
        rules.templates().len(),
        defaults().actors.ledger.templates().len() + 2
    );
    let described = settings.describe().replace("\"***\"", "\"sk_test_sandbox\"");
    assert_eq!(dev(&described, &[]), settings, "{described}");
}

#[test]
fn the_sample_of_the_reference_file_is_a_template() {
    let sample: Vec<&str> = REFERENCE
        .lines()
        .skip_while(|line| *line != "# [[ledger.templates]]")
        .take_while(|line| !line.is_empty())
        .map(|line| line.strip_prefix("# ").unwrap())
        .collect();
    let settings = dev(&sample.join("\n"), &[]);
    assert_eq!(settings.actors.ledger.own_templates()[0].name(), "gift_card_sold");
}

#[test]
fn profiles_and_the_chart_are_set() {
    let file = "[ledger]\nposting_profile = \"merchant_of_record\"\n[ledger.chart]\nbank = \"bank:city\"\nsuspense = \"\"\n";
    let settings = dev(file, &[("FLORIN_LEDGER_CHART_EQUITY", "rounding")]);
    let rules = &settings.actors.ledger;
    let profile = rules.profile();
    assert_eq!(
        (profile.posting, profile.fee_recognition),
        (PostingModel::MerchantOfRecord, FeeRecognition::AtPayment)
    );
    let chart = ["bank", "suspense", "equity", "rounding"].map(|role| rules.chart().account(role).as_str());
    assert_eq!(chart, ["bank:city", "", "rounding", "rounding"]);
    assert_eq!(
        rules.chart().account("bank"),
        &ChartAccount::Opened("bank:city".into())
    );
    let env = [("FLORIN_LEDGER_FEE_RECOGNITION", "at_settlement")];
    let profile = dev("", &env).actors.ledger.profile();
    assert_eq!(
        (profile.posting, profile.fee_recognition),
        (PostingModel::Marketplace, FeeRecognition::AtSettlement)
    );
}

#[test]
fn d_03_a_configuration_that_earns_a_fee_twice_does_not_start() {
    let both = "[ledger]\nposting_profile = \"merchant_of_record\"\nfee_recognition = \"at_settlement\"\n";
    assert_eq!(
        refusal(both, &[], Mode::Dev),
        "`ledger.fee_recognition` is \"at_settlement\", but `ledger.posting_profile` is \"merchant_of_record\": the fee would be \
         recognised twice: template `payment_recorded` recognises it on `payment_revenue` and template `settlement_with_fee` again \
         on `platform_fee`"
    );
    let monthly = "[[ledger.templates]]
name = \"monthly\"
stage = \"settlement\"
roles = { merchant_receivable = \"liability\", merchant_payable = \"liability\", fees = \"revenue\" }
parameters = { all = \"gross\", ours = \"fee\" }
derived = { theirs = \"all - ours\" }
lines = [
  { role = \"merchant_receivable\", side = \"debit\", amount = \"all\" },
  { role = \"merchant_payable\", side = \"credit\", amount = \"theirs\" },
  { role = \"fees\", side = \"credit\", amount = \"ours\" },
]
";
    assert_eq!(
        refusal(monthly, &[], Mode::Dev),
        "`ledger.templates.monthly.stage` does not go with how payments are booked: the fee would be recognised twice: template \
         `payment_with_fee` recognises it on `platform_fee` and template `monthly` again on `fees`"
    );
    let env = [("FLORIN_LEDGER_FEE_RECOGNITION", "at_settlement")];
    assert!(dev(monthly, &env).actors.ledger.template("monthly").is_some());
}

#[test]
fn what_is_wrong_with_a_template_is_named_by_template_and_field() {
    let file = "florin.toml";
    for (from, to, expected) in [
        (
            "name = \"tip\"\n",
            "",
            "`ledger.templates[1].name` is not set: every template needs it".to_owned(),
        ),
        (
            "name = \"tip\"",
            "name = 7",
            format!("`ledger.templates[1].name` is 7 in {file}, but must be text"),
        ),
        (
            "name = \"tip\"",
            "name = \"Tip\"",
            "`ledger.templates.Tip.name` must be 1 to 64 characters of a-z, 0-9 and _ that start with a letter".to_owned(),
        ),
        (
            "name = \"tip\"",
            "name = \"merchant_payout\"",
            "`ledger.templates.merchant_payout.name` is the name of another template".to_owned(),
        ),
        (
            "parameters =",
            "parameter =",
            format!("{file} sets `ledger.templates.tip.parameter`, which does not exist; the nearest key is `ledger.templates.tip.parameters`"),
        ),
        (
            "parameters = { amount = \"other\" }\n",
            "",
            "`ledger.templates.tip.parameters` is not set: every template needs it".to_owned(),
        ),
        (
            "\"other\"",
            "\"net\"",
            format!("`ledger.templates.tip.parameters.amount` is \"net\" in {file}, but must be \"gross\" or \"fee\" or \"other\""),
        ),
        (
            "waiter = \"liability\"",
            "waiter = \"debt\"",
            format!(
                "`ledger.templates.tip.roles.waiter` is \"debt\" in {file}, but must be \"asset\" or \"liability\" or \"equity\" or \
                 \"revenue\" or \"expense\""
            ),
        ),
        (
            "side = \"credit\"",
            "side = \"left\"",
            format!("`ledger.templates.tip.lines.2.side` is \"left\" in {file}, but must be \"debit\" or \"credit\""),
        ),
        (
            "side = \"credit\"",
            "side = \"debit\"",
            "`ledger.templates.tip.lines` do not balance: `amount` is debited 2 times and credited 0 times".to_owned(),
        ),
        (
            "side = \"credit\", amount = \"amount\"",
            "side = \"credit\", amount = \"gross\"",
            "`ledger.templates.tip.lines.2.amount` names `gross`, which is no amount of the template".to_owned(),
        ),
        (
            "{ role = \"waiter\"",
            "{ who = \"waiter\"",
            format!("{file} sets `ledger.templates.tip.lines.2.who`, which does not exist; the nearest key is `ledger.templates.tip.lines.2.role`"),
        ),
        (
            "lines = [",
            "lines = 3 # [",
            format!("`ledger.templates.tip.lines` is 3 in {file}, but must be a list of tables"),
        ),
        (
            "name = \"tip\"\n",
            "name = \"tip\"\nstage = \"dinner\"\n",
            format!(
                "`ledger.templates.tip.stage` is \"dinner\" in {file}, but must be \"payment\" or \"refund\" or \"late_charge\" or \
                 \"settlement\" or \"payout\""
            ),
        ),
        (
            "[[ledger.templates]]",
            "[ledger.templates]",
            format!("`ledger.templates` is of type table in {file}, but must be a list of tables, each under [[ledger.templates]]"),
        ),
    ] {
        assert_eq!(changed(from, to), expected);
    }
}

#[test]
fn an_account_that_cannot_stand_for_its_role_is_refused() {
    assert_eq!(
        refusal("ledger.chart.bank = \"suspense\"", &[], Mode::Dev),
        "`ledger.chart.bank` is \"suspense\", but that account is of type liability, and the role of type asset"
    );
    assert_eq!(
        refusal("ledger.chart.bank = \"City Bank\"", &[], Mode::Dev),
        "`ledger.chart.bank` is \"City Bank\" in florin.toml, but must be the name of an account, of 1 to 64 characters of a-z, 0-9, \
         _, ., : and -, or empty for none"
    );
    assert_eq!(
        refusal("ledger.chart.banks = \"x\"", &[], Mode::Dev),
        "florin.toml sets `ledger.chart.banks`, which does not exist; the nearest key is `ledger.chart.bank`"
    );
}
