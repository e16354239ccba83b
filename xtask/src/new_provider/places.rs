//! Where a person has to go on: what is registered where, in the order in which it is best done.

/// A text in a file, and what is to be done there. `nameless` stands for the provider's name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) file: &'static str,
    pub(super) anchor: &'static str,
    pub(super) what: &'static str,
}

const fn place(file: &'static str, anchor: &'static str, what: &'static str) -> Place {
    Place { file, anchor, what }
}

pub(super) const PLACES: &[Place] = &[
    place(
        "docs/provider_nameless.md",
        "official specification",
        "what the documentation promises; everything else follows from it",
    ),
    place(
        "adapters/src/providers/nameless.rs",
        "fn capabilities",
        "the capability record, each field for a sentence of the documentation",
    ),
    place(
        "sandbox/src/witness.rs",
        "pub(crate) enum Provider {",
        "a variant, and below it those of `Entry` and `EntryRef`; the compiler finds their matches",
    ),
    place(
        "sandbox/src/owner.rs",
        "pub(crate) enum Command {",
        "a command for its requests",
    ),
    place(
        "sandbox/src/world.rs",
        "pub(crate) fn handle_adyen",
        "the same for it; its state goes into `World`, and into its recovery",
    ),
    place(
        "sandbox/src/server/routes.rs",
        "path.strip_prefix(\"/adyen/v72/\")",
        "a route to `/nameless`; then the `expect(dead_code)` of sandbox/src/nameless.rs goes",
    ),
    place(
        "sandbox/src/faults/parse.rs",
        "\"stripe or adyen\"",
        "its name, and which faults are not its",
    ),
    place(
        "adapters/src/providers/nameless/request.rs",
        "not supported by nameless",
        "one operation after the other, out of this arm",
    ),
    place(
        "adapters/src/providers/nameless/response.rs",
        "To be filled in",
        "what each answer means, each with its payload",
    ),
    place(
        "adapters/src/providers/nameless.rs",
        "pub const OPERATIONS",
        "the operation, when it is sent, understood, imitated and conforms",
    ),
    place(
        "adapters/tests/conformance/nameless.rs",
        "fn refusal",
        "its own words for a refusal, and what an altered request is",
    ),
    place("config/src/settings.rs", "pub enum ProviderKind", "the kind"),
    place("config/src/keys.rs", "key(\"kind\", Kind::Choice(", "its word"),
    place(
        "config/src/provider_terms.rs",
        "const fn caps",
        "how many requests it takes, 50 and 25 where its documentation does not say; and below, how long it may owe a word",
    ),
    place(
        "config/src/checked.rs",
        "match raw.kind {",
        "which credentials it needs, and which are not its",
    ),
    place(
        "domain/src/credentials.rs",
        "pub enum CredentialKind {",
        "a variant, and below it the fields that a merchant with an account of its own puts",
    ),
    place(
        "adapters/src/secrets/record.rs",
        "CredentialKind::Adyen => 2",
        "its number in sealed files, which stays what it is; and its name there",
    ),
    place(
        "src/vault.rs",
        "let kind = match provider.kind {",
        "the one for the other",
    ),
    place(
        "src/providers.rs",
        "match configured.kind {",
        "that it is opened; then it can be used",
    ),
    place(
        "src/providers.rs",
        "pub(crate) fn notices",
        "who reads its notices, if it sends any",
    ),
    place(
        "src/dev.rs",
        "notify_adyen",
        "where the sandbox sends them, if it sends any",
    ),
    place(
        "florin.toml",
        "# The protocol: \"stripe\" or \"adyen\"",
        "its kind, address and credentials",
    ),
    place("docs/providers.md", "| | Stripe | Adyen |", "its column"),
    place(
        "tests/it/main.rs",
        "mod adyen;",
        "a node with it, killed in between",
    ),
    place(
        "xtask/src/sdk.rs",
        "const ADYEN: Wanted",
        "its official SDK against the sandbox, if there is one",
    ),
];
