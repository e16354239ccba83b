//! A program that operators have put in force, as control data keeps it.

use super::parse::ProgramError;
use super::program::Program;
use crate::merchant::OperatorAction;
use std::sync::Arc;

/// A program with its number and whoever put it in force. Read once, when it is made or read back, and shared by all that route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingVersion {
    number: u32,
    text: Arc<str>,
    program: Arc<Program>,
    by: OperatorAction,
}

impl RoutingVersion {
    /// The program of a text. Numbers begin at 1; before that, the configuration's rules are in force.
    ///
    /// # Errors
    /// Why the text is no program. Journals keep texts for ever, so what was a program once stays one.
    pub fn new(number: u32, text: Arc<str>, by: OperatorAction) -> Result<Self, ProgramError> {
        let program = Arc::new(Program::parse(&text)?);
        Ok(Self {
            number,
            text,
            program,
            by,
        })
    }

    /// Its number.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// As it was written.
    pub const fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// What it says.
    pub const fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// Who put it in force, and why.
    pub const fn by(&self) -> &OperatorAction {
        &self.by
    }
}
