//! The page under a payment link. A customer's browser holds a sealed session, which may put a card behind a token and pay this one link
//! with it, and nothing else; nothing that it says decides how much is paid.
//!
//! # Layout
//! * `session` what a browser holds; `guest` whoever shows one, and from where
//! * `payment` the payment of a session, or the one payment of a link that is paid once; `attempt` a try to pay it
//! * `view` which page a customer is to see, `back` when they come from their bank; `page` those pages, `html` their one place of escaping, `words` what declines are called
//! * `assets` the page's own script, style and icon

mod assets;
mod attempt;
mod back;
mod guest;
mod html;
mod page;
mod payment;
mod session;
mod view;
mod words;

pub(crate) use assets::{described_icon, described_script, described_style, icon, script, style};
pub(crate) use attempt::{attempt, described_attempt};
pub(crate) use back::{came_back, described_return};
pub(crate) use guest::Guest;
pub(crate) use view::{described_page, page};
