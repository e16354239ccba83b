// The checkout page's own script. It sends what is typed of a card to one place, `/v1/tokens`, and from there on knows a token only.
"use strict";
(() => {
  const form = document.getElementById("card");
  const notice = document.getElementById("notice");
  const button = document.getElementById("pay");
  const input = (id) => document.getElementById(id);
  const label = button.textContent;
  const session = form.dataset.session;
  const digits = (text) => text.replace(/\D/g, "");
  let busy = false;

  const LOST = "The connection was lost. Press the button again: you are not charged twice.";
  const LATER = "The payment is not possible right now. Try again in a moment.";
  const EXPIRED = "This page has been open for too long. Load it again to go on.";

  function tell(id, message) {
    input(id + "-error").textContent = message;
    if (message) {
      input(id).setAttribute("aria-invalid", "true");
    } else {
      input(id).removeAttribute("aria-invalid");
    }
  }

  // Groups as they are embossed, so that a number can be compared with its card.
  function grouped(number) {
    const sizes = /^3[47]/.test(number) ? [4, 6, 5] : [4, 4, 4, 4, 3];
    const parts = [];
    let at = 0;
    for (const size of sizes) {
      if (at >= number.length) break;
      parts.push(number.slice(at, at + size));
      at += size;
    }
    return parts.join(" ");
  }

  // What is typed is written anew, with the cursor behind the same digit.
  function rewrite(field, write) {
    const before = digits(field.value.slice(0, field.selectionStart)).length;
    const text = write(digits(field.value));
    if (text === field.value) return;
    field.value = text;
    let at = 0;
    for (let seen = 0; at < text.length && seen < before; at += 1) {
      if (/\d/.test(text[at])) seen += 1;
    }
    if (before >= digits(text).length) at = text.length;
    field.setSelectionRange(at, at);
  }

  function checked(number) {
    let sum = 0;
    for (let place = 0; place < number.length; place += 1) {
      let digit = Number(number[number.length - 1 - place]);
      if (place % 2 === 1) digit = digit > 4 ? digit * 2 - 9 : digit * 2;
      sum += digit;
    }
    return number.length >= 12 && number.length <= 19 && sum % 10 === 0;
  }

  // "1234", "12/34", "12/2034": month and year as they are sent.
  function expiry(text) {
    const said = /^\s*(\d{1,2})\s*[/.\- ]?\s*(\d{4}|\d{2})\s*$/.exec(text);
    if (!said) return null;
    const month = Number(said[1]);
    const year = said[2].length === 2 ? 2000 + Number(said[2]) : Number(said[2]);
    return month >= 1 && month <= 12 ? { month, year } : null;
  }

  function problems() {
    const found = [];
    const number = digits(input("number").value);
    if (!number) found.push(["number", "Type the number of your card."]);
    else if (!checked(number)) found.push(["number", "The number is not complete or has a mistake."]);
    const until = expiry(input("expiry").value);
    const now = new Date();
    if (!until) found.push(["expiry", "Type month and year, such as 08 / 29."]);
    else if (until.year * 12 + until.month < now.getFullYear() * 12 + now.getMonth() + 1) {
      found.push(["expiry", "The card has expired."]);
    }
    const code = digits(input("cvc").value);
    if (code.length < 3) found.push(["cvc", "Type the 3 or 4 digits of the security code."]);
    return found;
  }

  function show(found) {
    for (const id of ["number", "expiry", "cvc", "name"]) {
      const problem = found.find((one) => one[0] === id);
      tell(id, problem ? problem[1] : "");
    }
    if (found.length > 0) input(found[0][0]).focus();
  }

  function rest(message) {
    busy = false;
    button.disabled = false;
    button.textContent = label;
    notice.textContent = message || "";
  }

  async function post(path, body) {
    const answer = await fetch(path, {
      method: "POST",
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      headers: { "Content-Type": "application/json", Authorization: "Bearer " + session },
      body: JSON.stringify(body),
    });
    return { status: answer.status, body: await answer.json() };
  }

  const FIELDS = {
    incorrect_number: ["number", "The card number is wrong."],
    invalid_expiry_month: ["expiry", "The month is wrong."],
    invalid_expiry_year: ["expiry", "The year is wrong."],
    expired_card: ["expiry", "The card has expired."],
    incorrect_cvc: ["cvc", "The security code is wrong."],
  };

  function refused(answer) {
    const code = answer.body && answer.body.error && answer.body.error.code;
    if (FIELDS[code]) {
      rest("");
      show([FIELDS[code]]);
    } else if (code === "parameter_invalid" || code === "card_number_misplaced") {
      rest("");
      show([["name", "Leave the name out, or type it as it is on the card."]]);
    } else {
      rest(answer.status === 401 ? EXPIRED : LATER);
    }
  }

  async function pay() {
    const until = expiry(input("expiry").value);
    const card = {
      number: digits(input("number").value),
      exp_month: String(until.month),
      exp_year: String(until.year),
      cvc: digits(input("cvc").value),
    };
    const name = input("name").value.trim();
    if (name) card.name = name;
    const token = await post("/v1/tokens", { card });
    if (token.status !== 200) return refused(token);
    const attempt = () => post("/pay/" + form.dataset.link + "/attempts", { token: token.body.id });
    let tried = await attempt();
    // The browser has the payment in its cookie now, so that nothing is lost with the next answer: that one tries the card.
    if (tried.status === 200 && tried.body.state === "begun") tried = await attempt();
    if (tried.status !== 200) return refused(tried);
    const { state, message, field, url } = tried.body;
    if (url) {
      // The card is not left behind for whoever comes back to this page.
      form.reset();
      location.assign(url);
      return undefined;
    }
    rest(field ? "" : message);
    if (field) show([[field, message]]);
    else notice.scrollIntoView({ block: "nearest" });
    if (state === "declined") {
      input("cvc").value = "";
      if (!field) input("number").focus();
    }
    return undefined;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (busy) return;
    const found = problems();
    show(found);
    notice.textContent = "";
    if (found.length > 0) return;
    busy = true;
    button.disabled = true;
    button.textContent = "One moment…";
    pay().catch(() => rest(LOST));
  });

  input("number").addEventListener("input", (event) => {
    rewrite(event.target, (number) => grouped(number.slice(0, 19)));
    tell("number", "");
  });
  input("expiry").addEventListener("input", (event) => {
    // A date that the browser filled in by itself is left as it is.
    if (!/\d{4}/.test(event.target.value) || /^\d{3,4}$/.test(event.target.value)) {
      rewrite(event.target, (date) => {
        const text = /^[2-9]/.test(date) ? "0" + date : date;
        return text.length > 2 ? text.slice(0, 2) + " / " + text.slice(2, 4) : text;
      });
    }
    tell("expiry", "");
  });
  input("cvc").addEventListener("input", (event) => {
    rewrite(event.target, (code) => code.slice(0, 4));
    tell("cvc", "");
  });

  // A page that comes back out of the browser's memory shows how it was; how it is, the server says.
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });

  form.hidden = false;
})();
