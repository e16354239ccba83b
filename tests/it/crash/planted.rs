//! Defects planted into evidence that is in order: each check finds those that it is there for.
