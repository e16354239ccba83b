"""Adyen's own SDK against the sandbox: what it sends is understood, what it gets it understands, and what is signed it believes.

Usage: adyen_sandbox.py http://<sandbox>
"""

import json
import queue
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import Adyen
from Adyen.util import is_valid_hmac_notification

HMAC_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
ACCOUNT = "ShopNL"
PATIENCE_S = 20

told = queue.Queue()


class Webhook(BaseHTTPRequestHandler):
    """Takes notifications as a merchant would."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told.put(json.loads(body))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[accepted]")

    def log_message(self, *_):
        pass


def call(method, url, body):
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return json.load(answer)


def next_notice():
    """The next notification; signed, by the SDK's own word, and no longer once anything in it is changed."""
    body = told.get(timeout=PATIENCE_S)
    assert is_valid_hmac_notification(body, HMAC_KEY), body
    item = body["notificationItems"][0]["NotificationRequestItem"]
    forged = json.loads(json.dumps(body))
    forged["notificationItems"][0]["NotificationRequestItem"]["amount"]["value"] += 1
    assert not is_valid_hmac_notification(forged, HMAC_KEY), "a forgery is believed"
    return item["eventCode"], item["success"], item["amount"]["value"], item["merchantReference"]


def expect(what, found, wanted):
    assert found == wanted, f"{what}: {found!r} is not {wanted!r}"
    print(f"sdk: {what}")


def main(sandbox):
    server = HTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/webhook"
    call("PUT", f"{sandbox}/adyen/webhook", {"url": url, "hmac_key": HMAC_KEY})

    client = Adyen.Adyen(xapikey="AQE_sandbox", platform="test", merchant_account=ACCOUNT)
    payments, modifications = client.checkout.payments_api, client.checkout.modifications_api
    for api in (payments, modifications):
        api.baseUrl = f"{sandbox}/adyen/v72"

    def payment(reference, **more):
        return {
            "merchantAccount": ACCOUNT,
            "reference": reference,
            "amount": {"currency": "EUR", "value": 1000},
            "paymentMethod": {
                "type": "scheme",
                "encryptedCardNumber": "test_4111111111111111",
                "encryptedExpiryMonth": "test_03",
                "encryptedExpiryYear": "test_2030",
                "encryptedSecurityCode": "test_737",
            },
            "returnUrl": "https://shop.example/back",
            **more,
        }

    held = payment("order-1", additionalData={"manualCapture": "true"})
    first = payments.payments(held, idempotency_key="key-1").message
    expect("a payment is authorised", first["resultCode"], "Authorised")
    again = payments.payments(held, idempotency_key="key-1").message
    expect("the same key is answered the same", again, first)
    expect("its notification is signed", next_notice(), ("AUTHORISATION", "true", 1000, "order-1"))
    psp = first["pspReference"]

    part = {"merchantAccount": ACCOUNT, "amount": {"currency": "EUR", "value": 600}, "reference": "capture-1"}
    answer = modifications.capture_authorised_payment(part, psp, idempotency_key="key-2").message
    expect("a capture is received", (answer["status"], answer["paymentPspReference"]), ("received", psp))
    expect("and told", next_notice(), ("CAPTURE", "true", 600, "capture-1"))

    back = {"merchantAccount": ACCOUNT, "amount": {"currency": "EUR", "value": 200}, "reference": "refund-1"}
    answer = modifications.refund_captured_payment(back, psp, idempotency_key="key-3").message
    expect("a refund is received", answer["status"], "received")
    expect("and told", next_notice(), ("REFUND", "true", 200, "refund-1"))

    cancel = {"merchantAccount": ACCOUNT, "reference": "cancel-1"}
    answer = modifications.cancel_authorised_payment_by_psp_reference(cancel, psp, idempotency_key="key-4").message
    expect("a cancel is received", answer["status"], "received")
    expect("and told", next_notice(), ("CANCELLATION", "true", 400, "cancel-1"))

    more = payment("order-5", additionalData={"manualCapture": "true", "authorisationType": "PreAuth"})
    grown = payments.payments(more, idempotency_key="key-9").message["pspReference"]
    next_notice()
    total = {"merchantAccount": ACCOUNT, "amount": {"currency": "EUR", "value": 1500}, "reference": "more-1"}
    answer = modifications.update_authorised_amount(total, grown, idempotency_key="key-10").message
    expect("an update of the amount is received", (answer["status"], answer["paymentPspReference"]), ("received", grown))
    expect("and told", next_notice(), ("AUTHORISATION_ADJUSTMENT", "true", 1500, "more-1"))

    payments.payments(payment("order-2", additionalData={"manualCapture": "true"}), idempotency_key="key-5")
    next_notice()
    close = {"merchantAccount": ACCOUNT, "paymentReference": "order-2", "reference": "cancel-2"}
    answer = modifications.cancel_authorised_payment(close, idempotency_key="key-6").message
    expect("a technical cancel is received", answer["paymentReference"], "order-2")
    expect("and told", next_notice(), ("TECHNICAL_CANCEL", "true", 1000, "cancel-2"))

    poor = payment("order-3")
    poor["paymentMethod"]["holderName"] = "NOT_ENOUGH_BALANCE"
    answer = payments.payments(poor, idempotency_key="key-7").message
    expect("a refusal has its code", (answer["resultCode"], answer["refusalReasonCode"]), ("Refused", "12"))
    expect("and is told", next_notice(), ("AUTHORISATION", "false", 1000, "order-3"))

    wrong = payment("order-4")
    wrong["amount"]["value"] = 0
    try:
        payments.payments(wrong, idempotency_key="key-8")
        raise AssertionError("an amount of nothing was taken")
    except Adyen.exceptions.AdyenError as error:
        expect("an error is one to the SDK", type(error).__name__, "AdyenAPIUnprocessableEntity")

    with urllib.request.urlopen(f"{sandbox}/charges", timeout=PATIENCE_S) as answer:
        rows = [(row["operation"], row["amount"]) for row in json.load(answer)["data"]]
    wanted = [("authorize", 1000), ("capture", 600), ("refund", 200), ("void", 400), ("authorize", 1000), ("authorize", 500)]
    wanted += [("authorize", 1000), ("void", 1000)]
    expect("the witness has each once", rows, wanted)
    assert told.empty(), "something was told twice"


if __name__ == "__main__":
    main(sys.argv[1])
