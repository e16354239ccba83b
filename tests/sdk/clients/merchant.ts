// A merchant's program with the TypeScript client that is made of docs/openapi.json, and nothing else, against Florin.
// Usage: node merchant.js http://<florin>; the types lie in florin.d.ts beside this file.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import createClient from "openapi-fetch";
import type { components, paths } from "./florin.js";

type Payment = components["schemas"]["Payment"];
type NewPayment = paths["/v1/payments"]["post"]["requestBody"]["content"]["application/json"];

const address = process.argv[2];
// Nothing is asked for as `application/problem+json`, so that every refusal is an `Error`.
const as = (key: string) =>
  createClient<paths, "application/json">({ baseUrl: address, headers: { Authorization: `Bearer ${key}` } });
const merchant = as("sk_test_florin_dev");
const operator = as("ok_test_florin_dev");

function expect<T>(what: string, found: T, wanted: T): void {
  assert.deepEqual(found, wanted, what);
  console.log(`clients, typescript: ${what}`);
}

/** Headers that make an order happen once. */
const once = (key: string = randomUUID()) => ({ header: { "Idempotency-Key": key } });

async function charged(body: NewPayment, key?: string): Promise<{ payment: Payment; response: Response }> {
  const { data, error, response } = await merchant.POST("/v1/payments", { params: once(key), body });
  assert.ok(data, JSON.stringify(error));
  return { payment: data, response };
}

async function paysAndReads(): Promise<Payment> {
  const body: NewPayment = {
    amount: 10000,
    currency: "USD",
    payment_method_id: "pm_card_visa",
    customer_id: "cus_typescript",
    metadata: { order: "1001" },
  };
  const key = randomUUID();
  const { payment: paid, response } = await charged(body, key);
  expect("a sale", [response.status, paid.status, paid.fee, paid.net], [200, "succeeded", 320, 9680]);
  expect("its metadata", paid.metadata, { order: "1001" });
  const again = await charged(body, key);
  expect("the same key is answered the same", again.payment, paid);
  const said = [response, again.response].map((each) => each.headers.get("Idempotent-Replayed"));
  expect("which is said", said, [null, "true"]);
  const params = { path: { id: paid.id } };
  const read = await merchant.GET("/v1/payments/{id}", { params });
  expect("it is read", read.data, paid);
  const query = { metadata: { order: "1001" }, customer_id: "cus_typescript" };
  const named = await merchant.GET("/v1/payments", { params: { query } });
  expect("and found by its metadata", named.data?.data.map((payment) => payment.id), [paid.id]);
  const history = await merchant.GET("/v1/payments/{id}/history", { params });
  const rows = history.data?.data ?? [];
  expect("its history begins", rows.slice(0, 2).map((row) => row.type), ["payment.created", "risk.assessed"]);
  const posted = rows.filter((row) => row.type === "ledger.entry_posted");
  const amounts = posted.map((row) => row.lines?.map((line) => line.amount).sort((one, other) => one - other));
  expect("and is posted once", amounts, [[320, 9680, 10000]]);
  return paid;
}

async function pages(): Promise<void> {
  const made: string[] = [];
  for (const amount of [101, 102, 103]) {
    const body: NewPayment = { amount, currency: "EUR", payment_method_id: "pm_card_visa", customer_id: "cus_pages_ts" };
    made.unshift((await charged(body)).payment.id);
  }
  const seen: string[] = [];
  for (let more = true; more; ) {
    const query = { customer_id: "cus_pages_ts", limit: 2, starting_after: seen.at(-1) };
    const { data } = await merchant.GET("/v1/payments", { params: { query } });
    assert.ok(data);
    seen.push(...data.data.map((payment) => payment.id));
    more = data.has_more;
  }
  expect("all pages, newest first", seen, made);
  const query = { customer_id: "cus_pages_ts", "amount[gte]": 102, "amount[lt]": 103 };
  const few = await merchant.GET("/v1/payments", { params: { query } });
  expect("a filter", few.data?.data.map((payment) => payment.amount), [102]);
}

async function capturesAndRefunds(): Promise<void> {
  const hold = (
    await charged({ amount: 5000, currency: "USD", payment_method_id: "pm_card_visa", capture_method: "manual" })
  ).payment;
  expect("a hold", [hold.status, hold.amount_capturable], ["authorized", 5000]);
  const path = { id: hold.id };
  const captured = await merchant.POST("/v1/payments/{id}/capture", {
    params: { path, ...once() },
    body: { amount: 3000, final: true },
  });
  expect("a part is captured", [captured.data?.status, captured.data?.amount_captured], ["succeeded", 3000]);
  const refund = await merchant.POST("/v1/payments/{id}/refunds", { params: { path, ...once() }, body: { amount: 1000 } });
  expect("a part of it goes back", [refund.data?.object, refund.data?.amount, refund.data?.status], ["refund", 1000, "succeeded"]);
  const { data } = await merchant.GET("/v1/payments/{id}", { params: { path } });
  expect("and the payment knows", [data?.amount_refunded, data?.refunds.map((one) => one.id)], [1000, [refund.data?.id]]);
}

async function refused(): Promise<void> {
  const bad = await merchant.POST("/v1/payments", {
    params: once(),
    body: { amount: 0, currency: "USD", payment_method_id: "pm_card_visa" },
  });
  const error: components["schemas"]["Error"] | undefined = bad.error;
  expect(
    "a bad amount is refused, and named",
    [bad.response.status, error?.error.type, error?.error.code, error?.error.param],
    [400, "invalid_request_error", "amount_too_small", "amount"],
  );
  const declined = await merchant.POST("/v1/payments", {
    params: once(),
    body: { amount: 100, currency: "USD", payment_method_id: "pm_card_visa_chargeDeclinedInsufficientFunds" },
  });
  const said = declined.error?.error;
  expect("a decline says why", [said?.code, said?.decline_code], ["card_declined", "insufficient_funds"]);
}

async function books(paid: Payment): Promise<void> {
  const accounts = await merchant.GET("/v1/ledger/accounts");
  const owed = accounts.data?.data.find((account) => account.currency === "USD");
  assert.ok(owed);
  // 10000 - 320 of the sale; 3000 - 117 of the capture, and the refund gives no fee back.
  expect("what is owed", owed.balance, 9680 + 3000 - 117 - 1000);
  const entries = await merchant.GET("/v1/ledger/accounts/{id}/entries", { params: { path: { id: owed.id } } });
  const first = entries.data?.data.at(-1);
  expect("the entry of the sale", [first?.payment_id, first?.side, first?.amount], [paid.id, "credit", 9680]);
  const balance = await operator.GET("/v1/ledger/trial_balance");
  for (const row of balance.data?.data ?? []) {
    expect(`the books in ${row.currency} balance`, [row.debits === row.credits, row.difference], [true, 0]);
  }
  const asMerchant = await merchant.GET("/v1/ledger/trial_balance");
  expect("which merchants may not ask", [asMerchant.response.status, asMerchant.error?.error.code], [403, "operator_key_required"]);
}

const paid = await paysAndReads();
await pages();
await capturesAndRefunds();
await refused();
await books(paid);
