"""The checkout page in a real Chromium of a phone's size: what a customer does there, and what leaves the browser.

Usage: checkout.py http://<florin> <chromedriver> <chromium> <folder for pictures>
"""

import http.client
import json
import pathlib
import sys
import urllib.parse

from chromium import ENTER, TAB, Chromium

KEY = "sk_test_florin_dev"
GOOD = "4242424242424242"
OTHER = "5555555555554444"
DECLINED = "4000000000000002"
CHALLENGED = "4000000000003220"
SHOWN = "return !document.getElementById('card')?.hidden"
PAID = "return document.querySelector('[data-state=paid]') !== null"


class Shop:
    """The merchant, who has an API key."""

    def __init__(self, address):
        self.address = address
        self.place = urllib.parse.urlsplit(address)

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.place.netloc, timeout=30)
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        connection.close()
        assert answer.status == 200, said
        return said

    def link(self, **more):
        wanted = {"amount": 4250, "currency": "EUR", "description": "A chair of oak, oiled", **more}
        return self.ask("POST", "/v1/payment_links", wanted)

    def payments(self, link):
        everything = self.ask("GET", "/v1/payments?limit=100")["data"]
        return [one for one in everything if one["metadata"].get("payment_link") == link["id"]]


def expect(what, found, wanted):
    assert found == wanted, f"{what}: {found!r} is not {wanted!r}"
    print(f"browser: {what}")


def holds(what, fact, about=""):
    assert fact, f"{what}: {about}"
    print(f"browser: {what}")


def fill(browser, number, expiry="1240", code="917"):
    for selector, text in (("#number", number), ("#expiry", expiry), ("#cvc", code)):
        browser.clear(selector)
        browser.type(selector, text)


def show(browser, link):
    browser.open(link["url"])
    browser.until("the form", SHOWN)


def fits(browser, what):
    wide = browser.run("return [document.documentElement.scrollWidth, innerWidth]")
    holds(f"{what} does not scroll sideways", wide[0] <= wide[1], wide)


def pays(browser, shop, pictures):
    link = shop.link()
    show(browser, link)
    fits(browser, "the form")
    browser.picture(pictures / "form.png")
    unnamed = "return [...document.querySelectorAll('input')].filter(i => !document.querySelector(`label[for=${i.id}]`) || i.name).length"
    expect("every field has a label and none a name", browser.run(unnamed), 0)
    small = "return [...document.querySelectorAll('input,button')].filter(i => i.getBoundingClientRect().height < 44).length"
    expect("everything is large enough for a thumb", browser.run(small), 0)
    # With the keyboard alone, from field to field, and Enter at the end.
    browser.type("#number", GOOD + TAB)
    typed = browser.run("return [document.getElementById('number').value, document.activeElement.id]")
    expect("the number is grouped, and Tab goes on", typed, ["4242 4242 4242 4242", "expiry"])
    outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
    expect("the focus is to be seen", outline, "solid")
    browser.type("#expiry", "1240")
    expect("the date is written as on the card", browser.run("return document.getElementById('expiry').value"), "12 / 40")
    browser.type("#cvc", "917" + ENTER)
    browser.until("the thanks", PAID)
    expect("the page says so", browser.text("h1"), "Thank you")
    fits(browser, "the end")
    browser.picture(pictures / "paid.png")
    browser.reload()
    browser.until("the thanks again", PAID)
    expect("loading it again pays nothing", [one["status"] for one in shop.payments(link)], ["succeeded"])


def mistypes(browser, shop, pictures):
    link = shop.link(description="W" * 200)
    show(browser, link)
    fits(browser, "a very long word")
    fill(browser, "4242424242424241", expiry="1220", code="1")
    before = len(browser.sent())
    browser.click("#pay")
    wrong = "return [...document.querySelectorAll('[aria-invalid=true]')].map(i => i.id)"
    expect("each mistake is marked at its field", browser.run(wrong), ["number", "expiry", "cvc"])
    expect("the first one has the focus", browser.run("return document.activeElement.id"), "number")
    about = "return document.getElementById(document.getElementById('number').getAttribute('aria-describedby')).textContent"
    expect("and says what is wrong", browser.run(about), "The number is not complete or has a mistake.")
    browser.picture(pictures / "mistakes.png")
    expect("nothing was sent", len(browser.sent()), before)
    fill(browser, GOOD)
    # An impatient customer.
    twice = "const form = document.getElementById('card'); form.requestSubmit(); form.requestSubmit()"
    browser.run(twice)
    browser.until("the thanks", PAID)
    tokens = [one for one in browser.sent()[before:] if one["url"].endswith("/v1/tokens")]
    expect("two presses are one token", len(tokens), 1)
    expect("and one payment", len(shop.payments(link)), 1)


def declines(browser, shop, pictures):
    link = shop.link(single_use=True)
    show(browser, link)
    fill(browser, DECLINED)
    browser.click("#pay")
    told = browser.until("the decline", "return document.getElementById('notice').textContent")
    holds("a decline is told in plain words", "declined" in told and "not been charged" in told, told)
    browser.picture(pictures / "declined.png")
    browser.reload()
    browser.until("the form", SHOWN)
    expect("also after loading it again", browser.text("#notice"), told)
    fill(browser, OTHER)
    browser.click("#pay")
    browser.until("the thanks", PAID)
    paid = shop.payments(link)
    expect("another card pays the same payment", [one["status"] for one in paid], ["succeeded"])


def is_challenged(browser, shop, pictures):
    back = f"{shop.address}/docs"
    after = {"type": "redirect", "redirect": {"url": back}}
    for end in ("Fail", "Complete"):
        link = shop.link(after_completion=after)
        show(browser, link)
        fill(browser, CHALLENGED)
        browser.click("#pay")
        browser.until("the bank", "return location.pathname.startsWith('/3ds/')")
        presses = "for (const b of document.querySelectorAll('button')) if (b.textContent.startsWith(arguments[0])) b.click()"
        browser.run(presses, end)
        if end == "Complete":
            browser.until("the shop", "return location.href === arguments[0]", back)
            print("browser: after the challenge the customer is at the shop")
            continue
        browser.until("the form", SHOWN)
        told = browser.text("#notice")
        holds("a failed challenge is told", "could not confirm" in told, told)
        fill(browser, GOOD)
        browser.click("#pay")
        browser.until("the shop", "return location.href === arguments[0]", back)
        paid = shop.payments(link)
        expect("and another card pays the same payment", [one["status"] for one in paid], ["succeeded"])


def looks_well(browser, shop, pictures):
    show(browser, shop.link(amount=123456789, currency="JPY"))
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.devtools("Emulation.setEmulatedMedia", features=dark)
    browser.picture(pictures / "dark.png")
    browser.devtools("Emulation.setEmulatedMedia", features=[])
    for width in (320, 1280):
        metrics = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.devtools("Emulation.setDeviceMetricsOverride", **metrics)
        fits(browser, f"a window of {width} pixels")
    browser.picture(pictures / "wide.png")


def nothing_else_left(browser, shop):
    hosts = set()
    for one in browser.sent():
        place = urllib.parse.urlsplit(one["url"])
        # The empty tab that a window opens with is the browser's own, and is nowhere.
        if place.scheme not in ("http", "https", "ws", "wss"):
            continue
        hosts.add(place.hostname)
        everything = urllib.parse.unquote(json.dumps(one))
        bare = everything.replace(" ", "").replace("+", "")
        for number in (GOOD, OTHER, DECLINED, CHALLENGED):
            if number in bare:
                where = (one["method"], one["url"])
                assert where == ("POST", f"{shop.address}/v1/tokens"), f"a card number went to {where}"
                assert number not in one["url"] and number not in json.dumps(one["headers"]), where
    expect("the browser spoke to nobody else", hosts, {"127.0.0.1"})
    carried = [one for one in browser.sent() if GOOD in one.get("postData", "")]
    holds("card numbers went to the tokenizing route alone", len(carried) >= 3, len(carried))
    expect("the console has no complaint", browser.complaints(), [])


def has_no_scripts(programs, shop, pictures):
    with Chromium(*programs, scripts=False) as browser:
        browser.open(shop.link()["url"])
        told = browser.text("noscript")
        holds("without JavaScript the page says that it needs it", "needs JavaScript" in told, told)
        style = browser.ask("GET", f"{browser.session}/element/{browser.find('#card')}/displayed")
        expect("and has no form to type a card into", style, False)
        browser.picture(pictures / "no-scripts.png")


def main():
    shop, programs, pictures = Shop(sys.argv[1]), sys.argv[2:4], pathlib.Path(sys.argv[4])
    pictures.mkdir(parents=True, exist_ok=True)
    with Chromium(*programs) as browser:
        pays(browser, shop, pictures)
        mistypes(browser, shop, pictures)
        declines(browser, shop, pictures)
        is_challenged(browser, shop, pictures)
        looks_well(browser, shop, pictures)
        nothing_else_left(browser, shop)
    has_no_scripts(programs, shop, pictures)


main()
