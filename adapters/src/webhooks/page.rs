//! One page of an owner's endpoints, of which there are few.

use florin_domain::ids::EndpointId;
use florin_domain::ports::EndpointPage;
use florin_domain::webhook::Endpoint;

/// The page of all endpoints of an owner, which come oldest first, and whether there are more. `None` if the cursor is none of them.
pub(super) fn page_of(mut all: Vec<Endpoint>, page: EndpointPage) -> Option<(Vec<Endpoint>, bool)> {
    let is_there = |bits: u128| all.iter().any(|one| one.id == EndpointId::from_bits(bits));
    let cursors = [page.starting_after, page.ending_before];
    if !cursors.into_iter().flatten().all(is_there) {
        return None;
    }
    all.retain(|one| {
        let bits = one.id.bits();
        page.starting_after.is_none_or(|bound| bits < bound)
            && page.ending_before.is_none_or(|bound| bits > bound)
    });
    // The nearest after it come first, and are turned around.
    let backwards = page.ending_before.is_some();
    if !backwards {
        all.reverse();
    }
    let has_more = all.len() > page.limit;
    all.truncate(page.limit);
    if backwards {
        all.reverse();
    }
    Some((all, has_more))
}
