//! The checker as a program: `florin-store-check FOLDER` says what is wrong with a run, line by line, and in its last line how much; it fails if anything is.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder] = arguments.as_slice() else {
        eprintln!("florin-store-check FOLDER: the folder of one run");
        return ExitCode::from(2);
    };
    match florin_store_check::check(Path::new(folder)) {
        Ok(verdict) => {
            for finding in &verdict.findings {
                println!("{finding}");
            }
            println!("{verdict}");
            if verdict.is_clean() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}
