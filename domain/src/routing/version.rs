//! A program as operators wrote it, as control data keeps it.

use super::parse::ProgramError;
use super::program::Program;
use crate::versions::Version;
use std::sync::Arc;

/// A program with its text. Read once, when it is put in force or read back, and shared by all that route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenProgram {
    text: Arc<str>,
    program: Arc<Program>,
}

/// A program that operators have put in force, or will. Numbers begin at 1; before that, the configuration's rules are in force.
pub type RoutingVersion = Version<WrittenProgram>;

impl WrittenProgram {
    /// The program of a text.
    ///
    /// # Errors
    /// Why the text is no program. Journals keep texts for ever, so what was a program once stays one.
    pub fn new(text: Arc<str>) -> Result<Self, ProgramError> {
        let program = Arc::new(Program::parse(&text)?);
        Ok(Self { text, program })
    }

    /// As it was written.
    pub const fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// What it says.
    pub const fn program(&self) -> &Arc<Program> {
        &self.program
    }
}
