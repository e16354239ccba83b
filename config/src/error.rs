//! What can be wrong with a configuration. Every text names the key and never shows a secret.

use florin_domain::routing::ProgramError;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why there are no settings. The first thing found wrong is reported.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that holds a secret cannot be read.
    #[error("cannot read {}, the file that `{key}` names", .path.display())]
    SecretFile {
        /// The key that names the file.
        key: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{origin} is not TOML: line {line}, column {column}: {message}")]
    Syntax {
        /// The file.
        origin: String,
        /// Counted from one.
        line: usize,
        /// Counted from one.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// A key that does not exist.
    #[error("{origin} sets `{key}`, which does not exist; the nearest key is `{nearest}`")]
    UnknownKey {
        /// The file.
        origin: String,
        /// The key as written.
        key: String,
        /// The key that was probably meant.
        nearest: String,
    },
    /// A `FLORIN_*` variable that does not exist.
    #[error("the environment variable {name} belongs to no key; the nearest is {nearest}")]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The variable that was probably meant.
        nearest: String,
    },
    /// A value of the wrong type or out of range.
    #[error("`{key}` is {value} in {origin}, but must be {allowed}")]
    Invalid {
        /// The key.
        key: String,
        /// The file or the variable.
        origin: String,
        /// The value, or `***`.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A value that another value rules out.
    #[error("`{key}` is {value}, but {why}")]
    Conflict {
        /// The key.
        key: String,
        /// The value, or `***`.
        value: String,
        /// What it must be, in terms of the other one.
        why: String,
    },
    /// Something that has no default is not set.
    #[error("`{key}` is not set: {why}")]
    Missing {
        /// The key.
        key: String,
        /// What is expected.
        why: String,
    },
    /// A posting template that is none, or that does not go with the others.
    #[error("`{key}` {why}")]
    Template {
        /// The template and its field.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// Rules that are none, or that name a provider which is not configured.
    #[error("`{key}`, {error}")]
    Rules {
        /// The key.
        key: String,
        /// What is wrong, and where.
        error: ProgramError,
    },
    /// A key and its `_file` counterpart in the same place.
    #[error("{origin} sets both `{key}` and `{key}_file`: give one of them")]
    Twice {
        /// The file, or the environment.
        origin: String,
        /// The key without `_file`.
        key: String,
    },
}
