"""A merchant's program with the Python client that is made of docs/openapi.json, and nothing else, against Florin.

Usage: merchant.py http://<florin>, with `florin_client` on the path
"""

import importlib
import pkgutil
import sys
import uuid

import florin_client
from florin_client import AuthenticatedClient
from florin_client.api.ledger import get_trial_balance, list_accounts, list_entries
from florin_client.api.payments import (
    capture_payment,
    create_payment,
    create_refund,
    get_payment,
    get_payment_history,
    list_payments,
)
from florin_client.models.capture_payment_body import CapturePaymentBody
from florin_client.models.create_payment_body import CreatePaymentBody
from florin_client.models.create_payment_body_metadata import CreatePaymentBodyMetadata
from florin_client.models.create_refund_body import CreateRefundBody
from florin_client.models.error import Error
from florin_client.models.list_payments_metadata import ListPaymentsMetadata
from florin_client.models.payment import Payment
from florin_client.models.refund import Refund


def expect(what, found, wanted):
    assert found == wanted, f"{what}: {found!r} is not {wanted!r}"
    print(f"clients, python: {what}")


def everything_imports():
    """No module of the client is left out, whether the program below uses it or not."""
    names = [module.name for module in pkgutil.walk_packages(florin_client.__path__, "florin_client.")]
    for name in names:
        importlib.import_module(name)
    assert len(names) > 300, names


def charged(client, body, key=None):
    answer = create_payment.sync_detailed(client=client, body=body, idempotency_key=key or str(uuid.uuid4()))
    assert isinstance(answer.parsed, Payment), answer
    return answer


def pays_and_reads(client):
    body = CreatePaymentBody(amount=10000, currency="USD", payment_method_id="pm_card_visa", customer_id="cus_python")
    body.metadata = CreatePaymentBodyMetadata.from_dict({"order": "1001"})
    key = str(uuid.uuid4())
    first = charged(client, body, key)
    paid = first.parsed
    expect("a sale", (first.status_code, paid.status, paid.fee, paid.net), (200, "succeeded", 320, 9680))
    expect("its metadata", paid.metadata["order"], "1001")
    again = charged(client, body, key)
    expect("the same key is answered the same", again.content, first.content)
    expect("which is said", ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]), (False, "true"))
    read = get_payment.sync(paid.id, client=client)
    expect("it is read", read, paid)
    # What makes the client sends such names as they are.
    marked = ListPaymentsMetadata.from_dict({"metadata[order]": "1001"})
    named = list_payments.sync(client=client, metadata=marked, customer_id="cus_python")
    expect("and found by its metadata", [payment.id for payment in named.data], [paid.id])
    history = get_payment_history.sync(paid.id, client=client)
    expect("its history begins", [row.type_ for row in history.data[:2]], ["payment.created", "risk.assessed"])
    posted = [row for row in history.data if row.type_ == "ledger.entry_posted"]
    expect("and is posted once", [sorted(line.amount for line in row.lines) for row in posted], [[320, 9680, 10000]])
    return paid


def pages(client):
    made = [
        charged(client, CreatePaymentBody(amount=amount, currency="EUR", payment_method_id="pm_card_visa", customer_id="cus_pages")).parsed.id
        for amount in (101, 102, 103)
    ]
    seen, last = [], {}
    while True:
        page = list_payments.sync(client=client, customer_id="cus_pages", limit=2, **last)
        seen += [payment.id for payment in page.data]
        if not page.has_more:
            break
        last = {"starting_after": seen[-1]}
    expect("all pages, newest first", seen, made[::-1])
    few = list_payments.sync(client=client, customer_id="cus_pages", amountgte=102, amountlt=103)
    expect("a filter", [payment.amount for payment in few.data], [102])


def captures_and_refunds(client):
    hold = charged(
        client,
        CreatePaymentBody(amount=5000, currency="USD", payment_method_id="pm_card_visa", capture_method="manual"),
    ).parsed
    expect("a hold", (hold.status, hold.amount_capturable), ("authorized", 5000))
    captured = capture_payment.sync(
        hold.id, client=client, body=CapturePaymentBody(amount=3000, final=True), idempotency_key=str(uuid.uuid4())
    )
    expect("a part is captured", (captured.status, captured.amount_captured), ("succeeded", 3000))
    refund = create_refund.sync(
        hold.id, client=client, body=CreateRefundBody(amount=1000), idempotency_key=str(uuid.uuid4())
    )
    expect("a part of it goes back", (type(refund), refund.amount, refund.status), (Refund, 1000, "succeeded"))
    after = get_payment.sync(hold.id, client=client)
    expect("and the payment knows", (after.amount_refunded, [one.id for one in after.refunds]), (1000, [refund.id]))


def refused(client):
    answer = create_payment.sync_detailed(
        client=client,
        body=CreatePaymentBody(amount=0, currency="USD", payment_method_id="pm_card_visa"),
        idempotency_key=str(uuid.uuid4()),
    )
    error = answer.parsed
    assert isinstance(error, Error), error
    expect(
        "a bad amount is refused, and named",
        (answer.status_code, error.error.type_, error.error.code, error.error.param),
        (400, "invalid_request_error", "amount_too_small", "amount"),
    )
    declined = create_payment.sync(
        client=client,
        body=CreatePaymentBody(amount=100, currency="USD", payment_method_id="pm_card_visa_chargeDeclinedInsufficientFunds"),
        idempotency_key=str(uuid.uuid4()),
    )
    assert isinstance(declined, Error), declined
    expect("a decline says why", (declined.error.code, declined.error.decline_code), ("card_declined", "insufficient_funds"))


def books(client, operator, paid):
    accounts = {account.currency: account for account in list_accounts.sync(client=client).data}
    # 10000 - 320 of the sale; 3000 - 117 of the capture, and the refund gives no fee back.
    expect("what is owed", accounts["USD"].balance, 9680 + 3000 - 117 - 1000)
    entries = list_entries.sync(accounts["USD"].id, client=client)
    first = entries.data[-1]
    expect("the entry of the sale", (first.payment_id, first.side, first.amount), (paid.id, "credit", 9680))
    for row in get_trial_balance.sync(client=operator).data:
        expect(f"the books in {row.currency} balance", (row.debits == row.credits_, row.difference), (True, 0))
    as_merchant = get_trial_balance.sync_detailed(client=client)
    expect("which merchants may not ask", (as_merchant.status_code, as_merchant.parsed.error.code), (403, "operator_key_required"))


def main(address):
    everything_imports()
    client = AuthenticatedClient(base_url=address, token="sk_test_florin_dev", raise_on_unexpected_status=True)
    operator = AuthenticatedClient(base_url=address, token="ok_test_florin_dev", raise_on_unexpected_status=True)
    paid = pays_and_reads(client)
    pages(client)
    captures_and_refunds(client)
    refused(client)
    books(client, operator, paid)


if __name__ == "__main__":
    main(sys.argv[1])
