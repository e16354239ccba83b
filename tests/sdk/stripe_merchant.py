"""Stripe's own SDK, unmodified, against Florin: what it sends is understood, and what it gets it understands.

Usage: stripe_merchant.py http://<florin>
"""

import http.client
import http.server
import queue
import sys
import threading
import urllib.parse
import uuid

import stripe

KEY = "sk_test_florin_dev"
PATIENCE_S = 20


def expect(what, found, wanted):
    assert found == wanted, f"{what}: {found!r} is not {wanted!r}"
    print(f"sdk: {what}")


def raises(what, kind, call):
    try:
        call()
    except kind as error:
        assert type(error) is kind, f"{what}: {error!r}"
        print(f"sdk: {what}")
        return error
    raise AssertionError(f"{what}: nothing was raised")


def complete(page):
    """Says yes in the customer's place; where the bank then leads the browser, there is no shop."""
    place = urllib.parse.urlsplit(page)
    bank = http.client.HTTPConnection(place.netloc, timeout=PATIENCE_S)
    bank.request("POST", f"{place.path}/complete")
    assert bank.getresponse().status < 400
    bank.close()


def intents(client):
    made = client.v1.payment_intents

    sale = made.create(
        {
            "amount": 1099,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "metadata": {"order id": "Stühle & Tische"},
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "expand": ["latest_charge.balance_transaction"],
        }
    )
    expect("a sale succeeds", (type(sale).__name__, sale.status, sale.currency), ("PaymentIntent", "succeeded", "usd"))
    expect("its metadata arrives", sale.metadata["order id"], "Stühle & Tische")
    charge = sale.latest_charge
    expect("its charge is expanded", (type(charge).__name__, charge.paid, charge.amount_captured), ("Charge", True, 1099))
    moved = charge.balance_transaction
    expect("and so is what it moved", (type(moved).__name__, moved.fee, moved.net), ("BalanceTransaction", 62, 1037))
    again = made.retrieve(sale.id)
    expect("it is found again", (again.id, again.client_secret, again.latest_charge), (sale.id, sale.client_secret, charge.id))
    assert again.last_response.request_id.startswith("req_")

    held = made.create(
        {"amount": 5000, "currency": "eur", "payment_method": "pm_card_mastercard", "confirm": True, "capture_method": "manual"}
    )
    expect("what is held waits", (held.status, held.amount_capturable), ("requires_capture", 5000))
    taken = made.capture(held.id, {"amount_to_capture": 3000})
    expect("a part is captured", (taken.status, taken.amount_received), ("succeeded", 3000))

    draft = made.create({"amount": 400, "currency": "usd"})
    expect("an intent may wait for its method", (draft.status, draft.payment_method), ("requires_payment_method", None))
    draft = made.update(draft.id, {"amount": 450, "payment_method": "pm_card_visa", "metadata": {"cups": "2"}})
    expect("and be changed", (draft.status, draft.amount, draft.metadata["cups"]), ("requires_confirmation", 450, "2"))
    expect("and confirmed", made.confirm(draft.id).status, "succeeded")

    held = made.create(
        {"amount": 700, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True, "capture_method": "manual"}
    )
    gone = made.cancel(held.id, {"cancellation_reason": "requested_by_customer"})
    expect("what is held is released", (gone.status, gone.amount_received), ("canceled", 0))

    asked = made.create(
        {
            "amount": 900,
            "currency": "usd",
            "payment_method": "pm_card_threeDSecure2Required",
            "confirm": True,
            "return_url": "https://shop.example/back",
        }
    )
    expect("a challenge waits for its customer", (asked.status, asked.latest_charge), ("requires_action", None))
    expect("who is sent there", (asked.next_action.type, asked.next_action.redirect_to_url.return_url), ("redirect_to_url", "https://shop.example/back"))
    complete(asked.next_action.redirect_to_url.url)
    back = made.confirm(asked.id)
    expect("and back again", (back.status, back.amount_received, back.next_action), ("succeeded", 900, None))
    return sale


def refunds(client, sale):
    part = client.v1.refunds.create({"payment_intent": sale.id, "amount": 99, "reason": "requested_by_customer"})
    expect("a part is given back", (type(part).__name__, part.status, part.amount), ("Refund", "succeeded", 99))
    rest = client.v1.refunds.create({"charge": sale.latest_charge.id})
    expect("and then the rest", (rest.amount, rest.payment_intent), (1000, sale.id))
    error = raises(
        "no more than was taken",
        stripe.InvalidRequestError,
        lambda: client.v1.refunds.create({"payment_intent": sale.id}),
    )
    expect("by its code", error.code, "charge_already_refunded")
    listed = client.v1.refunds.list({"payment_intent": sale.id})
    expect("both are listed", [refund.id for refund in listed.auto_paging_iter()], [rest.id, part.id])
    every = client.v1.refunds.list({"limit": 1}).auto_paging_iter()
    expect("and so are those of all payments", [refund.id for refund in every][:2], [rest.id, part.id])
    expect("each is found", client.v1.refunds.retrieve(part.id).amount, 99)
    charge = client.v1.charges.retrieve(sale.latest_charge.id, {"expand": ["refunds"]})
    expect("the charge says so", (charge.refunded, len(charge.refunds.data)), (True, 2))


def cards(client):
    made, methods = client.v1.payment_intents, client.v1.payment_methods
    ada = client.v1.customers.create({"name": "Ada", "metadata": {"shop": "1"}})
    typed = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2040, "cvc": "123"}
    card = methods.create({"type": "card", "card": typed, "billing_details": {"name": "Ada"}})
    methods.attach(card.id, {"customer": ada.id})
    sale = {"amount": 600, "currency": "usd", "confirm": True, "payment_method": card.id}
    paid = made.create({**sale, "customer": ada.id})
    expect("a saved card pays", (paid.status, paid.payment_method, paid.customer), ("succeeded", card.id, ada.id))
    bob = client.v1.customers.create({"name": "Bob"})
    error = raises("nobody else's intent", stripe.InvalidRequestError, lambda: made.create({**sale, "customer": bob.id}))
    expect("by its parameter", (error.param, error.code), ("payment_method", "resource_missing"))
    spare = methods.create({"type": "card", "card": {**typed, "number": "5555555555554444"}})
    agreed = {"type": "online", "online": {"ip_address": "192.0.2.7", "user_agent": "Mozilla/5.0"}}
    waiting = client.v1.setup_intents.create({"customer": ada.id, "payment_method": spare.id, "metadata": {"plan": "gold"}})
    expect("a card is set up", (type(waiting).__name__, waiting.status, waiting.usage), ("SetupIntent", "requires_confirmation", "off_session"))
    ready = client.v1.setup_intents.confirm(waiting.id, {"mandate_data": {"customer_acceptance": agreed}})
    mandate = client.v1.mandates.retrieve(ready.mandate)
    expect("with consent", (ready.status, mandate.status, mandate.payment_method), ("succeeded", "active", spare.id))
    expect("and is the customer's", methods.retrieve(spare.id).customer, ada.id)
    listed = client.v1.setup_intents.list({"customer": ada.id})
    expect("it is listed", [intent.id for intent in listed.auto_paging_iter()], [ready.id])
    later = made.create({**sale, "customer": ada.id, "payment_method": spare.id, "off_session": True})
    expect("and pays without its customer", later.status, "succeeded")
    hard = {"amount": 620, "currency": "usd", "confirm": True, "payment_method": "pm_card_authenticationRequired", "off_session": True}
    error = raises("nobody is challenged who is not there", stripe.CardError, lambda: made.create(hard))
    expect("the customer has to come", error.code, "authentication_required")
    back = {"payment_method": "pm_card_authenticationRequired"}
    expect("and is asked then", made.confirm(error.error.payment_intent.id, back).status, "requires_action")
    token = client.v1.tokens.create({"card": typed})
    data = {"type": "card", "card": {"token": token.id}}
    waiting = made.create({"amount": 610, "currency": "usd"})
    paid = made.confirm(waiting.id, {"payment_method_data": data})
    kept = methods.retrieve(paid.payment_method)
    expect("a token pays, and its card is kept", (paid.status, kept.card.last4, kept.customer), ("succeeded", "4242", None))
    return ada


def errors(client, address):
    made = client.v1.payment_intents
    card = {"amount": 500, "currency": "usd", "confirm": True, "customer": "cus_poor"}
    error = raises(
        "a decline is a card error",
        stripe.CardError,
        lambda: made.create({**card, "payment_method": "pm_card_visa_chargeDeclinedInsufficientFunds"}),
    )
    found = (error.http_status, error.code, error.error.decline_code, error.user_message)
    expect("with its reasons", found, (402, "card_declined", "insufficient_funds", "Your card has insufficient funds."))
    intent = error.error.payment_intent
    expect("and its intent", (type(intent).__name__, intent.status), ("PaymentIntent", "requires_payment_method"))
    paid = made.confirm(intent.id, {"payment_method": "pm_card_mastercard"})
    expect("another method pays it", (paid.status, paid.last_payment_error), ("succeeded", None))

    error = raises(
        "a strange parameter is an invalid request",
        stripe.InvalidRequestError,
        lambda: made.create({**card, "payment_method": "pm_card_visa", "payment_method_options": {"card": {"foo": 1}}}),
    )
    expect("by its whole name", (error.param, error.code), ("payment_method_options[card][foo]", "parameter_unknown"))
    error = raises("what is not there is missing", stripe.InvalidRequestError, lambda: made.retrieve("pi_nothing"))
    expect("by its code", (error.http_status, error.code), (404, "resource_missing"))
    stranger = stripe.StripeClient("sk_test_nobody", base_addresses={"api": address})
    raises("a stranger is not let in", stripe.AuthenticationError, lambda: stranger.v1.payment_intents.list())

    key = {"idempotency_key": str(uuid.uuid4())}
    sale = {"amount": 300, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    first = made.create(sale, key)
    again = made.create(sale, key)
    expect("the same key is the same payment", (again.id, again.last_response.headers["idempotent-replayed"]), (first.id, "true"))
    raises("with other parameters it is refused", stripe.IdempotencyError, lambda: made.create({**sale, "amount": 301}, key))


def lists(client):
    made = client.v1.payment_intents
    ids = [
        made.create(
            {"amount": 100 + n, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True, "customer": "cus_listed"}
        ).id
        for n in range(5)
    ]
    newest = list(reversed(ids))
    page = made.list({"customer": "cus_listed", "limit": 2})
    expect("pages are gone through", [intent.id for intent in page.auto_paging_iter()], newest)
    page = made.list({"customer": "cus_listed", "limit": 2, "ending_before": ids[0]})
    expect("and back", [intent.id for intent in page.auto_paging_iter()], ids[1:])
    since = made.retrieve(ids[0]).created
    page = client.v1.charges.list({"customer": "cus_listed", "limit": 3, "created": {"gte": since}, "expand": ["data.payment_intent"]})
    expect("charges as well", [charge.payment_intent.id for charge in page.auto_paging_iter()], newest)


def searches(client):
    made = client.v1.payment_intents
    sale = {"currency": "usd", "payment_method": "pm_card_visa", "confirm": True, "customer": "cus_found"}
    ids = [made.create({**sale, "amount": 100 + n, "metadata": {"order id": f"6735-{n % 2}", "n": str(n)}}).id for n in range(5)]
    newest = list(reversed(ids))

    def found(query, **more):
        page = made.search({"query": query, **more})
        assert type(page).__name__ == "SearchResultObject", page
        return [intent.id for intent in page.auto_paging_iter()]

    expect("payments are found by their metadata", found("metadata['order id']:'6735-1'"), newest[1::2])
    expect("page by page", found('customer:"cus_found" AND status:"succeeded"', limit=2), newest)
    expect("in several ways", found('metadata["n"]:"1" OR metadata["n"]:"4" OR metadata["n"]:"x"'), [ids[4], ids[1]])
    expect("and by what they are not", found("customer:'cus_found' -metadata['order id']:'6735-1' amount>100"), [ids[4], ids[2]])
    made.update(ids[0], {"metadata": {"n": "changed"}})
    expect("as they are now", (found("metadata['n']:'0'"), found("metadata['n']:'changed'")), ([], [ids[0]]))
    page = made.search({"query": "customer:'cus_found'", "limit": 1, "expand": ["data.latest_charge"]})
    expect("with what is behind them", (page.has_more, page.data[0].latest_charge.paid), (True, True))
    error = raises("what is no query is refused", stripe.InvalidRequestError, lambda: made.search({"query": "email:'a@b.example'"}))
    expect("by its name", (error.param, error.code), ("query", "parameter_invalid"))


def events(client, sale):
    told = [event for event in client.v1.events.list({"limit": 100}).auto_paging_iter() if event.type.startswith("payment_intent.")]
    first = [event for event in told if event.data.object.id == sale.id]
    expect("what happened is told", [(type(event).__name__, event.type) for event in first], [("Event", "payment_intent.succeeded")])
    again = client.v1.events.retrieve(first[0].id)
    expect("with the object of then", (type(again.data.object).__name__, again.data.object.amount_received), ("PaymentIntent", sale.amount))


def balance(client, sale):
    moved = client.v1.charges.retrieve(sale.latest_charge.id).balance_transaction
    read = client.v1.balance_transactions.retrieve(moved)
    expect("what a charge moved is read by itself", (type(read).__name__, read.source, read.net), ("BalanceTransaction", sale.latest_charge.id, 1037))
    kind, since = client.v1.balance_transactions, read.created
    every = list(kind.list({"limit": 2, "created": {"gte": since}}).auto_paging_iter())
    expect("all that moved is gone through", len({entry.id for entry in every}), len(every))
    expect("newest first", [entry.created for entry in every], sorted((entry.created for entry in every), reverse=True))
    expect("what a charge moved among it", [entry.net for entry in every if entry.id == moved], [1037])
    back = [entry for entry in every if entry.type == "refund"]
    expect("and what was given back", sorted(entry.amount for entry in back)[:2], [-1000, -99])
    given = kind.list({"type": "refund", "limit": 1}).auto_paging_iter()
    expect("and that alone", [entry.id for entry in given], [entry.id for entry in back])
    expect("by its source", [entry.id for entry in kind.list({"source": sale.latest_charge.id}).data], [moved])
    expect("in its currency", {entry.currency for entry in kind.list({"currency": "eur"}).auto_paging_iter()}, {"eur"})
    expect("of no payout", kind.list({"payout": "po_1"}).data, [])
    entry = client.v1.refunds.list({"limit": 1}).data[0]
    dated = client.v1.refunds.list({"created": {"gte": entry.created, "lte": entry.created}, "limit": 1})
    expect("refunds are found by their time", entry.id in [refund.id for refund in dated.auto_paging_iter()], True)
    expect("and not by another", client.v1.refunds.list({"created": {"gt": entry.created}}).data, [])
    disputes = client.v1.disputes
    expect("there are no disputes", list(disputes.list({"charge": sale.latest_charge.id, "limit": 1}).auto_paging_iter()), [])
    error = raises("and none is found", stripe.InvalidRequestError, lambda: disputes.retrieve("dp_1"))
    expect("which is said by its code", (error.http_status, error.code), (404, "resource_missing"))
    owed = {entry.currency: entry.amount for entry in client.v1.balance.retrieve().available}
    expect("and is part of what is owed", owed["usd"] > 0, True)


class Shop(http.server.BaseHTTPRequestHandler):
    """A merchant's server, which takes everything."""

    arrived = queue.Queue()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.arrived.put((body, self.headers["Stripe-Signature"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def webhooks(client):
    shop = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=shop.serve_forever, daemon=True).start()
    endpoints = client.v1.webhook_endpoints
    url = f"http://127.0.0.1:{shop.server_port}/hooks"
    made = endpoints.create({"url": url, "enabled_events": ["payment_intent.succeeded"], "metadata": {"team": "orders"}})
    expect("an endpoint is made", (type(made).__name__, made.status, made.metadata["team"]), ("WebhookEndpoint", "enabled", "orders"))
    sale = client.v1.payment_intents.create({"amount": 777, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True})
    body, signature = Shop.arrived.get(timeout=PATIENCE_S)
    event = client.construct_event(body, signature, made.secret)
    found = (type(event).__name__, event.type, type(event.data.object).__name__, event.data.object.id)
    expect("it is told, signed", found, ("Event", "payment_intent.succeeded", "PaymentIntent", sale.id))
    listed = client.v1.events.retrieve(event.id)
    expect("of what is listed", (listed.id, listed.data.object.amount), (event.id, 777))
    raises(
        "a changed body is found out",
        stripe.SignatureVerificationError,
        lambda: client.construct_event(body.replace(b"777", b"778"), signature, made.secret),
    )
    changed = endpoints.update(made.id, {"description": "Orders", "disabled": True})
    expect("it is changed", (changed.description, changed.status, changed.url), ("Orders", "disabled", url))
    expect("and keeps its secret to itself", "secret" in endpoints.retrieve(made.id), False)
    expect("it is listed", [one.id for one in endpoints.list().auto_paging_iter()], [made.id])
    expect("and deleted", endpoints.delete(made.id).deleted, True)
    raises("and gone", stripe.InvalidRequestError, lambda: endpoints.retrieve(made.id))
    shop.shutdown()


def main(address):
    client = stripe.StripeClient(KEY, base_addresses={"api": address})
    sale = intents(client)
    refunds(client, sale)
    cards(client)
    errors(client, address)
    lists(client)
    searches(client)
    events(client, sale)
    balance(client, sale)
    webhooks(client)
    # The way of older programs, with everything in the module.
    stripe.api_key, stripe.api_base = KEY, address
    old = stripe.PaymentIntent.create(amount=250, currency="gbp", payment_method="pm_card_visa", confirm=True)
    expect("older programs are served as well", stripe.Charge.retrieve(old.latest_charge).amount, 250)


if __name__ == "__main__":
    main(sys.argv[1])
