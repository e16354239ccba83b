//! Who is chosen: shares, wishes, bars, and that nobody is lost.

use super::*;
use crate::ids::MerchantId;
use crate::method::CardBrand;
use crate::money::{Amount, Currency};
use crate::payment::CaptureMethod;
use crate::routing::{MethodKind, Score};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::collections::BTreeMap;

const NAMES: [&str; 5] = ["stripe", "adyen", "wise", "mollie", "plaid"];
const BARS: [Bar; 6] = [
    Bar::Disabled,
    Bar::BreakerOpen,
    Bar::Busy,
    Bar::Tried,
    Bar::KeyRefused,
    Bar::KeyLimited,
];
const HEALTHS: [Health; 4] = [
    Health::Healthy,
    Health::Degraded,
    Health::Reduced,
    Health::Excluded,
];

fn provider(name: &str) -> ProviderId {
    ProviderId::parse(name).unwrap()
}

fn program(text: &str) -> Program {
    Program::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn entrant(name: &str, score: u16) -> Entrant {
    Entrant {
        id: provider(name),
        bar: None,
        health: Health::Healthy,
        score: Score::from_hundredths(score),
    }
}

/// The first is the worst.
fn field() -> Vec<Entrant> {
    vec![
        entrant("stripe", 7_000),
        entrant("adyen", 8_000),
        entrant("wise", 9_000),
    ]
}

fn facts() -> Facts<'static> {
    Facts {
        method: MethodKind::Card,
        brand: CardBrand::Visa,
        country: *b"US",
        amount: Amount::new(10_000).unwrap(),
        currency: Currency::USD,
        merchant: MerchantId::from_bits(9),
        metadata: &[],
        has_customer: false,
        capture: CaptureMethod::Automatic,
    }
}

fn routed(text: &str, wishes: &Wishes, field: &[Entrant], draw: u32) -> Route {
    route(&program(text), &facts(), wishes, field, draw)
}

fn order(route: &Route) -> Vec<&str> {
    route
        .choices
        .iter()
        .map(|choice| choice.provider.as_str())
        .collect()
}

fn order_of(text: &str) -> String {
    let route = routed(text, &Wishes::default(), &field(), 0);
    order(&route).join(" ")
}

#[test]
fn conditions_hold_of_what_they_say() {
    let metadata: [(Arc<str>, Arc<str>); 2] =
        [("tier", "gold"), ("a b", "")].map(|(key, value)| (key.into(), value.into()));
    let facts = Facts {
        metadata: &metadata,
        ..facts()
    };
    let other = Facts {
        brand: CardBrand::Mastercard,
        country: *b"DE",
        currency: Currency::EUR,
        has_customer: true,
        capture: CaptureMethod::Manual,
        ..facts
    };
    // (condition, of the first, of the other)
    let cases = [
        ("otherwise", true, true),
        ("brand is visa", true, false),
        ("brand is not visa", false, true),
        ("brand in (amex, mastercard)", false, true),
        ("brand not in (amex, mastercard)", true, false),
        ("country is US", true, false),
        ("country not in (US, CA)", false, true),
        ("currency is EUR", false, true),
        ("merchant is mer_00000000000000000000000009", true, true),
        ("merchant is mer_00000000000000000000000008", false, false),
        ("metadata.tier is \"gold\"", true, true),
        ("metadata.tier is \"Gold\"", false, false),
        ("metadata.tier in (\"silver\", \"gold\")", true, true),
        ("metadata.\"a b\" is \"\"", true, true),
        ("metadata.absent is \"\"", false, false),
        ("metadata.absent is not \"\"", true, true),
        ("customer is present", false, true),
        ("customer is not present", true, false),
        ("capture is manual", false, true),
        ("method is card", true, true),
        ("method is apple_pay", false, false),
        ("method in (us_bank_transfer, eu_bank_transfer)", false, false),
        ("amount >= 100.00 USD", true, false),
        ("amount > 100.00 USD", false, false),
        ("amount <= 100 USD", true, false),
        ("amount < 100 USD", false, false),
        ("amount = 100 USD", true, false),
        ("amount != 100 USD", false, false),
        ("amount != 99.99 USD", true, false),
        ("amount < 100.01 EUR", false, true),
        ("not amount < 5 JPY", true, true),
        ("brand is visa and country is US", true, false),
        ("brand is visa and country is DE", false, false),
        ("brand is visa or country is DE", true, true),
        ("brand is amex or brand is visa and country is US", true, false),
        ("(brand is amex or brand is visa) and country is DE", false, false),
        ("not brand is visa or country is US", true, true),
        ("not (brand is visa or country is US)", false, true),
        ("not not brand is visa", true, false),
    ];
    for (condition, first, second) in cases {
        let program = program(&format!("rule: {condition} -> stripe"));
        let holds = [&facts, &other].map(|facts| program.applying(facts).is_some());
        assert_eq!(holds, [first, second], "{condition}");
    }
}

#[test]
fn the_first_rule_that_applies_decides() {
    let text = "mc: brand is mastercard -> stripe\nvisa: brand is visa -> adyen\nrest: otherwise -> stripe";
    let route = routed(text, &Wishes::default(), &field(), 0);
    assert_eq!(
        (route.rule.as_deref(), order(&route).join(" ").as_str()),
        (Some("visa"), "adyen wise stripe")
    );
    let route = routed(
        "mc: brand is mastercard -> stripe",
        &Wishes::default(),
        &field(),
        0,
    );
    assert_eq!(
        (route.rule.as_deref(), order(&route).join(" ").as_str()),
        (None, "wise adyen stripe")
    );
}

#[test]
fn a_target_says_who_comes_first_and_the_others_follow_by_score() {
    let cases = [
        ("", "wise adyen stripe"),
        ("r: otherwise -> score", "wise adyen stripe"),
        ("r: otherwise -> stripe", "stripe wise adyen"),
        ("r: otherwise -> stripe, adyen", "stripe adyen wise"),
        ("r: otherwise -> only stripe, adyen", "stripe adyen"),
        ("r: otherwise -> score(stripe, adyen)", "adyen stripe wise"),
        ("r: otherwise -> only score(stripe, adyen)", "adyen stripe"),
        ("r: otherwise -> split stripe 100, adyen 0", "stripe adyen wise"),
        ("r: otherwise -> split stripe 0, adyen 100", "adyen stripe wise"),
        ("r: otherwise -> only split stripe 0, adyen 100", "adyen stripe"),
    ];
    for (text, expected) in cases {
        assert_eq!(order_of(text), expected, "{text}");
    }
    let route = routed("r: otherwise -> only stripe", &Wishes::default(), &field(), 0);
    let left_out =
        [("adyen", Bar::NotNamed), ("wise", Bar::NotNamed)].map(|(name, bar)| (provider(name), bar));
    assert_eq!(route.left_out, left_out);
}

#[test]
fn the_rule_that_applies_says_what_follows_a_decline_and_a_pin_knows_no_rules() {
    let text = "us: country is US -> stripe after decline next_provider\nvisa: brand is visa -> stripe after decline answer\n\
                rest: otherwise -> score\n";
    let after = |facts: &Facts<'_>, wishes: &Wishes| {
        let after = after_decline(&program(text), facts, wishes);
        let route = route(&program(text), facts, wishes, &field(), 0);
        assert_eq!(route.after_decline, after, "a route says so");
        after
    };
    let [german, other] = [CardBrand::Visa, CardBrand::Amex].map(|brand| Facts {
        brand,
        country: *b"DE",
        ..facts()
    });
    let nothing = Wishes::default();
    assert_eq!(after(&facts(), &nothing), Some(AfterDecline::NextProvider));
    assert_eq!(after(&german, &nothing), Some(AfterDecline::Answer));
    assert_eq!(after(&other, &nothing), None);
    let pinned = Wishes {
        pin: ProviderId::parse("stripe").ok(),
        ..nothing
    };
    assert_eq!(after(&facts(), &pinned), None);
}

#[test]
fn a_barred_one_leaves_its_place_to_the_next() {
    for bar in BARS {
        let mut field = field();
        field[0].bar = Some(bar);
        let route = routed("r: otherwise -> stripe, adyen", &Wishes::default(), &field, 0);
        assert_eq!(order(&route), ["adyen", "wise"]);
        assert_eq!(route.left_out, [(provider("stripe"), bar)]);
        let route = routed("r: otherwise -> only stripe", &Wishes::default(), &field, 0);
        assert_eq!(route.first(), None, "the others are not named");
    }
}

#[test]
fn wishes_stand_above_rules() {
    let wishes = |pin: Option<&str>, prefer: &[&str], exclude: &[&str]| Wishes {
        pin: pin.map(provider),
        prefer: prefer.iter().map(|name| provider(name)).collect(),
        exclude: exclude.iter().map(|name| provider(name)).collect(),
    };
    let rule = "r: otherwise -> stripe, adyen";
    let only = "r: otherwise -> only stripe";
    let cases = [
        (rule, wishes(Some("wise"), &[], &[]), "wise", None),
        (only, wishes(Some("wise"), &[], &[]), "wise", None),
        (rule, wishes(None, &["wise"], &[]), "wise stripe adyen", Some("r")),
        (
            rule,
            wishes(None, &["wise", "adyen"], &[]),
            "wise adyen stripe",
            Some("r"),
        ),
        (only, wishes(None, &["wise"], &[]), "wise stripe", Some("r")),
        (rule, wishes(None, &[], &["stripe"]), "adyen wise", Some("r")),
        (only, wishes(None, &[], &["stripe"]), "", Some("r")),
        (
            rule,
            wishes(None, &["wise"], &["stripe"]),
            "wise adyen",
            Some("r"),
        ),
    ];
    for (text, wishes, expected, name) in cases {
        let route = routed(text, &wishes, &field(), 0);
        assert_eq!(order(&route).join(" "), expected, "{text} {wishes:?}");
        assert_eq!(route.rule.as_deref(), name);
    }
    let mut field = field();
    field[2].bar = Some(Bar::Busy);
    let route = routed(rule, &wishes(Some("wise"), &[], &[]), &field, 0);
    assert!(route.choices.is_empty());
    assert_eq!(
        route.left_out,
        [
            (provider("stripe"), Bar::Unwanted),
            (provider("adyen"), Bar::Unwanted),
            (provider("wise"), Bar::Busy),
        ]
    );
    let route = routed(rule, &wishes(Some("stripe"), &[], &[]), &field, 0);
    assert_eq!(order(&route), ["stripe"]);
    assert_eq!(
        route.left_out.last(),
        Some(&(provider("wise"), Bar::Unwanted)),
        "that it is busy is beside the point"
    );
}

/// How often each one is first over all draws.
fn firsts(text: &str, field: &[Entrant]) -> BTreeMap<String, u32> {
    let program = program(text);
    let mut firsts = BTreeMap::new();
    for draw in 0..10_000 {
        let route = route(&program, &facts(), &Wishes::default(), field, draw);
        let first = route.first().unwrap().to_string();
        firsts
            .entry(first)
            .and_modify(|count: &mut u32| *count = count.saturating_add(1))
            .or_insert(1);
    }
    firsts
}

#[test]
fn shares_of_a_split_are_exact_over_all_draws() {
    for shares in [[70, 30, 0], [1, 98, 1], [33, 33, 34], [100, 0, 0], [0, 0, 100]] {
        let [a, b, c] = shares;
        let firsts = firsts(
            &format!("r: otherwise -> split stripe {a}, adyen {b}, wise {c}"),
            &field(),
        );
        let got = ["stripe", "adyen", "wise"].map(|name| firsts.get(name).copied().unwrap_or(0));
        assert_eq!(got, shares.map(|percent| percent * 100));
    }
    let text = "r: otherwise -> split stripe 70, adyen 30";
    assert_eq!(
        routed(text, &Wishes::default(), &field(), 17_001),
        routed(text, &Wishes::default(), &field(), 7_001),
        "draws count modulo 10,000"
    );
}

#[test]
fn who_fails_keeps_its_share_of_the_traffic_and_goes_last_otherwise() {
    for (health, kept) in [
        (Health::Healthy, 10_000),
        (Health::Degraded, 10_000),
        (Health::Reduced, 5_000),
        (Health::Excluded, 100),
    ] {
        let mut field = field();
        field[0].health = health;
        for text in [
            "r: otherwise -> stripe, adyen",
            "r: otherwise -> split stripe 100, adyen 0",
        ] {
            let firsts = firsts(text, &field);
            assert_eq!(firsts.get("stripe"), Some(&kept), "{health:?} {text}");
            assert_eq!(firsts.get("adyen").copied().unwrap_or(0), 10_000 - kept);
        }
        let (program, facts) = (program("r: otherwise -> stripe, adyen"), facts());
        for draw in 0..10_000 {
            let route = route(&program, &facts, &Wishes::default(), &field, draw);
            let order = order(&route);
            assert!(order == ["stripe", "adyen", "wise"] || order == ["adyen", "wise", "stripe"]);
        }
    }
    // Half of seven tenths, but for what a draw of whole basis points leaves uneven.
    let mut field = field();
    field[0].health = Health::Reduced;
    let firsts = firsts("r: otherwise -> split stripe 70, adyen 30", &field);
    assert!(firsts["stripe"].abs_diff(3_500) <= 5, "{firsts:?}");
}

#[test]
fn by_score_the_healthy_come_first_and_the_excluded_are_only_tried_now_and_then() {
    let with = |healths: [Health; 3]| {
        let mut field = field();
        for (entrant, health) in field.iter_mut().zip(healths) {
            entrant.health = health;
        }
        field
    };
    let [healthy, degraded, reduced, excluded] = HEALTHS;
    let order_of = |healths: [Health; 3]| {
        let route = routed("", &Wishes::default(), &with(healths), 9_999);
        order(&route).join(" ")
    };
    assert_eq!(order_of([healthy, healthy, degraded]), "adyen stripe wise");
    assert_eq!(order_of([degraded, healthy, degraded]), "adyen wise stripe");
    let best_is_reduced = firsts("", &with([healthy, healthy, reduced]));
    assert_eq!(best_is_reduced["wise"], 5_000);
    let worst_is_reduced = firsts("", &with([reduced, healthy, healthy]));
    assert_eq!(worst_is_reduced.get("stripe"), None, "it had no traffic before");
    let worst_is_excluded = firsts("", &with([excluded, healthy, healthy]));
    assert_eq!(worst_is_excluded["stripe"], 100, "enough to see how it does");
    let all_are_excluded = routed("", &Wishes::default(), &with([excluded; 3]), 9_999);
    assert_eq!(all_are_excluded.choices.len(), 3, "rather them than nobody");
}

fn entrants() -> impl Strategy<Value = Vec<Entrant>> {
    let one = (
        proptest::option::weighted(0.3, select(&BARS[..])),
        select(&HEALTHS[..]),
        0..=10_000_u16,
    );
    proptest::collection::vec(one, NAMES.len()).prop_map(|parts| {
        let entrant = |(name, (bar, health, score)): (&str, (Option<Bar>, Health, u16))| Entrant {
            id: provider(name),
            bar,
            health,
            score: Score::from_hundredths(score),
        };
        NAMES.into_iter().zip(parts).map(entrant).collect()
    })
}

fn some_names() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![
        Just(Vec::new()),
        subsequence(NAMES.to_vec(), 0..=3).prop_shuffle()
    ]
}

fn programs() -> impl Strategy<Value = Program> {
    let target = prop_oneof![
        Just("score".to_owned()),
        subsequence(NAMES.to_vec(), 1..=3)
            .prop_shuffle()
            .prop_map(|names| names.join(", ")),
        subsequence(NAMES.to_vec(), 1..=3).prop_map(|names| format!("only {}", names.join(", "))),
        subsequence(NAMES.to_vec(), 1..=3).prop_map(|names| format!("only score({})", names.join(", "))),
        (0..=100_u32)
            .prop_map(|share| format!("split stripe {share}, adyen {}", 100_u32.saturating_sub(share))),
        (0..=100_u32).prop_map(|share| format!(
            "only split mollie {share}, wise {}",
            100_u32.saturating_sub(share)
        )),
    ];
    let condition = select(vec!["brand is visa", "brand is amex", "otherwise"]);
    proptest::collection::vec((condition, target), 0..3).prop_map(|rules| {
        let rule =
            |(n, (condition, target)): (usize, (&str, String))| format!("r{n}: {condition} -> {target}\n");
        program(&rules.into_iter().enumerate().map(rule).collect::<String>())
    })
}

proptest! {
    #[test]
    fn everybody_is_chosen_or_left_out_once_and_the_barred_are_left_out(
        program in programs(),
        field in entrants(),
        pin in proptest::option::weighted(0.2, select(&NAMES[..])),
        prefer in some_names(),
        exclude in some_names(),
        draw in any::<u32>(),
    ) {
        let ids = |names: &[&str]| names.iter().map(|name| provider(name)).collect::<Vec<_>>();
        let wishes = Wishes { pin: pin.map(provider), prefer: ids(&prefer), exclude: ids(&exclude) };
        let facts = facts();
        let route = route(&program, &facts, &wishes, &field, draw);
        prop_assert_eq!(&route, &super::route(&program, &facts, &wishes, &field, draw));
        let mut seen: Vec<ProviderId> = route.choices.iter().map(|choice| choice.provider).collect();
        for entrant in &field {
            let is_chosen = seen.contains(&entrant.id);
            prop_assert!(!is_chosen || entrant.bar.is_none());
            prop_assert!(!is_chosen || !wishes.exclude.contains(&entrant.id));
            prop_assert!(!is_chosen || wishes.pin.is_none_or(|pin| pin == entrant.id));
            let bar = route.left_out.iter().find(|(id, _)| *id == entrant.id).map(|(_, bar)| *bar);
            prop_assert!(matches!(bar, None | Some(Bar::Unwanted | Bar::NotNamed)) || bar == entrant.bar);
        }
        seen.extend(route.left_out.iter().map(|(id, _)| *id));
        seen.sort_unstable();
        let mut all: Vec<ProviderId> = field.iter().map(|entrant| entrant.id).collect();
        all.sort_unstable();
        prop_assert_eq!(seen, all);
        let applying = program.applying(&facts).filter(|_| wishes.pin.is_none());
        prop_assert_eq!(route.rule, applying.map(|rule| Arc::clone(&rule.name)));
    }
}
