// Stripe's own SDK for Node.js, unmodified, against Florin: what it sends is understood, and what it gets it understands.
//
// Usage: node stripe_merchant.mjs http://<florin>, with NODE_PATH at the folder that has `stripe`.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.NODE_PATH, "here.js"));
const Stripe = require("stripe");

const KEY = "sk_test_florin_dev";
const PATIENCE_MS = 20_000;

function expect(what, found, wanted) {
  assert.deepEqual(found, wanted, what);
  console.log(`sdk: ${what}`);
}

async function raises(what, kind, call) {
  try {
    await call();
  } catch (error) {
    assert.equal(error.type, kind, `${what}: ${error}`);
    console.log(`sdk: ${what}`);
    return error;
  }
  throw new Error(`${what}: nothing was thrown`);
}

async function ids(list) {
  const all = [];
  for await (const one of list) all.push(one.id);
  return all;
}

async function intents(stripe) {
  const sale = await stripe.paymentIntents.create({
    amount: 1099,
    currency: "usd",
    payment_method: "pm_card_visa",
    confirm: true,
    metadata: { "order id": "Stühle & Tische" },
    expand: ["latest_charge.balance_transaction"],
  });
  expect("a sale succeeds", [sale.object, sale.status, sale.metadata["order id"]], ["payment_intent", "succeeded", "Stühle & Tische"]);
  expect("with what it moved", [sale.latest_charge.paid, sale.latest_charge.balance_transaction.net], [true, 1037]);
  const held = await stripe.paymentIntents.create({
    amount: 5000, currency: "eur", payment_method: "pm_card_mastercard", confirm: true, capture_method: "manual",
  });
  const taken = await stripe.paymentIntents.capture(held.id, { amount_to_capture: 3000 });
  expect("a part is captured", [held.status, taken.status, taken.amount_received], ["requires_capture", "succeeded", 3000]);
  const draft = await stripe.paymentIntents.create({ amount: 400, currency: "usd" });
  const changed = await stripe.paymentIntents.update(draft.id, { amount: 450, payment_method: "pm_card_visa" });
  expect("a draft is changed", [draft.status, changed.status, changed.amount], ["requires_payment_method", "requires_confirmation", 450]);
  expect("and confirmed", (await stripe.paymentIntents.confirm(draft.id)).status, "succeeded");
  const given = await stripe.refunds.create({ payment_intent: sale.id, amount: 99 });
  expect("a part is given back", [given.object, given.status, given.amount], ["refund", "succeeded", 99]);
  const charge = await stripe.charges.retrieve(sale.latest_charge.id);
  expect("its charge says so", [charge.amount_refunded, charge.refunded], [99, false]);
  return sale;
}

async function errors(stripe) {
  const card = { amount: 500, currency: "usd", confirm: true };
  const error = await raises("a decline is a card error", "StripeCardError", () =>
    stripe.paymentIntents.create({ ...card, payment_method: "pm_card_visa_chargeDeclinedInsufficientFunds" }));
  expect("with its reasons", [error.statusCode, error.code, error.decline_code], [402, "card_declined", "insufficient_funds"]);
  expect("and its intent", error.payment_intent.status, "requires_payment_method");
  const strange = await raises("a strange parameter is an invalid request", "StripeInvalidRequestError", () =>
    stripe.paymentIntents.create({ ...card, payment_method: "pm_card_visa", payment_method_options: { card: { foo: 1 } } }));
  expect("by its whole name", strange.param, "payment_method_options[card][foo]");
  const options = { idempotencyKey: randomUUID() };
  const sale = { ...card, payment_method: "pm_card_visa" };
  const first = await stripe.paymentIntents.create(sale, options);
  expect("the same key is the same payment", (await stripe.paymentIntents.create(sale, options)).id, first.id);
  await raises("with other parameters it is refused", "StripeIdempotencyError", () =>
    stripe.paymentIntents.create({ ...sale, amount: 501 }, options));
}

async function cards(stripe) {
  const ada = await stripe.customers.create({ name: "Ada" });
  const typed = { number: "4242424242424242", exp_month: 12, exp_year: 2040, cvc: "123" };
  const method = await stripe.paymentMethods.create({ type: "card", card: typed });
  const setup = await stripe.setupIntents.create({ customer: ada.id, payment_method: method.id, confirm: true });
  expect("a card is set up", [setup.object, setup.status], ["setup_intent", "succeeded"]);
  const paid = await stripe.paymentIntents.create({
    amount: 600, currency: "usd", confirm: true, off_session: true, customer: ada.id, payment_method: method.id,
  });
  expect("and pays without its customer", [paid.status, paid.payment_method], ["succeeded", method.id]);
  const token = await stripe.tokens.create({ card: typed });
  expect("a token is made", [token.object, token.card.last4], ["token", "4242"]);
}

async function lists(stripe) {
  const made = [];
  for (let n = 0; n < 5; n += 1) {
    const sale = { amount: 100 + n, currency: "usd", payment_method: "pm_card_visa", confirm: true, customer: "cus_paged" };
    made.push((await stripe.paymentIntents.create(sale)).id);
  }
  expect("pages are gone through", await ids(stripe.paymentIntents.list({ customer: "cus_paged", limit: 2 })), made.reverse());
}

async function searches(stripe) {
  const made = [];
  for (let n = 0; n < 5; n += 1) {
    const sale = { amount: 100 + n, currency: "usd", payment_method: "pm_card_visa", confirm: true, metadata: { "order id": `n-${n % 2}` } };
    made.unshift((await stripe.paymentIntents.create(sale)).id);
  }
  const found = (query) => ids(stripe.paymentIntents.search({ query, limit: 2 }));
  expect("payments are found by their metadata", await found("metadata['order id']:'n-0' AND status:'succeeded'"), [made[0], made[2], made[4]]);
  expect("page by page", await found('metadata["order id"]~"n-0" OR metadata["order id"]~"n-1"'), made);
  const refused = await raises("what is no query is refused", "StripeInvalidRequestError", () =>
    stripe.paymentIntents.search({ query: "amount>1 OR" }));
  expect("by its name", refused.param, "query");
}

async function balance(stripe, sale) {
  const moved = sale.latest_charge.balance_transaction.id;
  const every = [];
  for await (const one of stripe.balanceTransactions.list({ limit: 2, created: { gte: sale.created } })) every.push(one);
  expect("all that moved is gone through", [new Set(every.map((one) => one.id)).size, every.some((one) => one.id === moved)], [every.length, true]);
  const given = every.filter((one) => one.type === "refund").map((one) => one.id);
  expect("what was given back alone", await ids(stripe.balanceTransactions.list({ type: "refund", limit: 1, created: { gte: sale.created } })), given);
  expect("by its source", await ids(stripe.balanceTransactions.list({ source: sale.latest_charge.id })), [moved]);
  const [refund] = (await stripe.refunds.list({ limit: 1 })).data;
  expect("refunds are found by their time", (await ids(stripe.refunds.list({ limit: 1, created: { gte: refund.created } }))).includes(refund.id), true);
  expect("there are no disputes", await ids(stripe.disputes.list({ payment_intent: sale.id })), []);
  const error = await raises("and none is found", "StripeInvalidRequestError", () => stripe.disputes.retrieve("dp_1"));
  expect("which is said by its code", [error.statusCode, error.code], [404, "resource_missing"]);
}

async function webhooks(stripe) {
  let arrive;
  const arrived = new Promise((resolve, reject) => {
    arrive = resolve;
    setTimeout(() => reject(new Error("nothing was delivered")), PATIENCE_MS).unref();
  });
  const shop = http.createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      response.end();
      arrive([Buffer.concat(parts), request.headers["stripe-signature"]]);
    });
  });
  await new Promise((resolve) => shop.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${shop.address().port}/hooks`;
  const made = await stripe.webhookEndpoints.create({ url, enabled_events: ["payment_intent.succeeded"] });
  const sale = await stripe.paymentIntents.create({ amount: 777, currency: "usd", payment_method: "pm_card_visa", confirm: true });
  const [body, signature] = await arrived;
  const event = stripe.webhooks.constructEvent(body, signature, made.secret);
  expect("it is told, signed", [event.type, event.data.object.id], ["payment_intent.succeeded", sale.id]);
  expect("of what is listed", (await stripe.events.retrieve(event.id)).data.object.amount, 777);
  const changed = Buffer.from(body.toString().replace("777", "778"));
  await raises("a changed body is found out", "StripeSignatureVerificationError", async () =>
    stripe.webhooks.constructEvent(changed, signature, made.secret));
  expect("an endpoint is deleted", (await stripe.webhookEndpoints.del(made.id)).deleted, true);
  shop.close();
}

const { hostname, port } = new URL(process.argv[2]);
const stripe = new Stripe(KEY, { host: hostname, port: Number(port), protocol: "http" });
const sale = await intents(stripe);
await errors(stripe);
await cards(stripe);
await lists(stripe);
await searches(stripe);
await balance(stripe, sale);
await webhooks(stripe);
