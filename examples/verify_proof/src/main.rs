//! `verify-proof FILE PUBLIC_KEY`: says what a proof or a receipt proves, or why it proves nothing.

use std::process::ExitCode;

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is what the program is for"
)]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, public_key] = &arguments[..] else {
        eprintln!("usage: verify-proof FILE PUBLIC_KEY");
        return ExitCode::from(2);
    };
    let document = std::fs::read_to_string(file).map_err(|error| error.to_string());
    match document.and_then(|document| verify_proof::verify(document.trim_end(), public_key)) {
        Ok(proved) => {
            println!("{proved}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{file} proves nothing: {why}");
            ExitCode::FAILURE
        }
    }
}
