//! What the README promises about its own commands.

#[test]
fn the_first_command_finds_one_binary_to_run() {
    let manifest = include_str!("../../Cargo.toml");
    let members = manifest
        .lines()
        .find(|line| line.starts_with("default-members"))
        .expect("the workspace names its default members");
    assert!(
        !members.contains("\"xtask\""),
        "`cargo run` would not know which binary is meant: {members}"
    );
    assert!(include_str!("../../README.md").contains("\ncargo run --release -- dev\ncargo xtask test\n"));
}
