//! What is remembered is what there is.
