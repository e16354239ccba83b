-- The payments view, for nodes that keep it here: made from the journal, made anew from it whenever it is not trusted, and readable by reports.
-- Nothing here decides what happened; `florin.commit_record` does. `form` 0 is a view that is not whole, which nobody believes.

CREATE TABLE florin.view_progress (
    shard integer PRIMARY KEY,
    -- Of the process whose batches are taken.
    epoch bigint NOT NULL DEFAULT 0,
    -- Of the rows and the states in them.
    form bigint NOT NULL DEFAULT 0,
    -- All commits up to this one are in the rows; and the hash of that record, which covers all before it.
    watermark bigint NOT NULL DEFAULT 0,
    hash bytea,
    -- The last commit that any row may be of, and its record's hash: beyond the watermark while a batch is given in parts.
    reaches bigint NOT NULL DEFAULT 0,
    reaches_hash bytea
) WITH (fillfactor = 50);

-- Identities are compared byte by byte, so that their order is the order of time.
CREATE TABLE florin.view_payment (
    shard integer NOT NULL,
    id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    merchant text COLLATE "C" NOT NULL,
    livemode boolean NOT NULL,
    created_at_ms bigint NOT NULL,
    status text NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL,
    captured_minor bigint NOT NULL,
    refunded_minor bigint NOT NULL,
    fee_minor bigint NOT NULL,
    customer text,
    -- For the node alone: what lists leave out payments by, what a payment waits for and until when, and its state as a whole.
    customer_digest bigint,
    metadata_mask bigint NOT NULL,
    waits_for smallint,
    due_ms bigint,
    state bytea NOT NULL,
    PRIMARY KEY (shard, id)
) WITH (fillfactor = 85);
CREATE INDEX view_payment_listed ON florin.view_payment (shard, merchant, livemode, id);
CREATE INDEX view_payment_waiting ON florin.view_payment (shard, waits_for, due_ms, id) WHERE waits_for IS NOT NULL;

CREATE TABLE florin.view_refund (
    shard integer NOT NULL,
    merchant text COLLATE "C" NOT NULL,
    livemode boolean NOT NULL,
    id text COLLATE "C" NOT NULL,
    payment text COLLATE "C" NOT NULL,
    PRIMARY KEY (shard, merchant, livemode, id)
);

-- What captures and refunds moved of what a merchant is owed. `place_id` is the number in `operation`, by which those of one moment are ordered.
CREATE TABLE florin.view_moved (
    shard integer NOT NULL,
    merchant text COLLATE "C" NOT NULL,
    livemode boolean NOT NULL,
    at_ms bigint NOT NULL,
    place_id bytea NOT NULL,
    kind text NOT NULL,
    operation text COLLATE "C" NOT NULL,
    payment text COLLATE "C" NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL,
    fee_minor bigint NOT NULL,
    PRIMARY KEY (shard, merchant, livemode, at_ms, place_id)
);
CREATE INDEX view_moved_named ON florin.view_moved (shard, merchant, livemode, place_id) WHERE kind <> 'sale';

-- A row for each commit that announces something, with the numbers of what.
CREATE TABLE florin.view_announced (
    shard integer NOT NULL,
    merchant text COLLATE "C" NOT NULL,
    livemode boolean NOT NULL,
    seq bigint NOT NULL,
    at_ms bigint NOT NULL,
    payment text COLLATE "C" NOT NULL,
    first_number bigint NOT NULL,
    kinds bytea NOT NULL,
    PRIMARY KEY (shard, merchant, livemode, seq)
);

-- From now on only this epoch changes the shard's view: how far it has come, and how it stands. What was made in another form, or from another
-- history than the journal's, is marked to be cleared. No row if somebody else has the shard. Waits for a batch of whoever had it before.
CREATE FUNCTION florin.claim_view(in_shard integer, in_epoch bigint, in_form bigint) RETURNS TABLE (watermark bigint, standing text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    present florin.view_progress%ROWTYPE;
    journal_head bigint;
BEGIN
    SELECT taken.head INTO journal_head FROM florin.shard AS taken WHERE taken.id = in_shard AND taken.epoch = in_epoch FOR SHARE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO florin.view_progress (shard) VALUES (in_shard) ON CONFLICT DO NOTHING;
    UPDATE florin.view_progress AS claimed SET epoch = in_epoch WHERE claimed.shard = in_shard RETURNING claimed.* INTO present;
    IF present.form = 0 THEN
        standing := 'nothing';
    ELSIF present.form <> in_form THEN
        standing := 'another form';
    ELSIF present.watermark > journal_head OR present.watermark > 0 AND NOT EXISTS (
        SELECT 1 FROM florin.commit_record AS record
        WHERE record.shard = in_shard AND record.seq = present.watermark AND record.hash = present.hash
    ) OR present.reaches > journal_head OR present.reaches > 0 AND NOT EXISTS (
        SELECT 1 FROM florin.commit_record AS record
        WHERE record.shard = in_shard AND record.seq = present.reaches AND record.hash = present.reaches_hash
    ) THEN
        standing := 'another history';
    ELSE
        watermark := present.watermark;
        standing := 'whole';
        RETURN NEXT;
        RETURN;
    END IF;
    UPDATE florin.view_progress AS claimed SET form = 0, watermark = 0, hash = NULL, reaches = 0, reaches_hash = NULL
        WHERE claimed.shard = in_shard;
    watermark := 0;
    RETURN NEXT;
END $$;

-- Deletes some rows of a view that is marked to be cleared: how many. Once there are none left, a view of this form may begin. -1 if fenced.
CREATE FUNCTION florin.clear_view(in_shard integer, in_epoch bigint, in_form bigint, in_rows bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    deleted bigint;
    cleared bigint := 0;
BEGIN
    PERFORM 1 FROM florin.view_progress WHERE shard = in_shard AND epoch = in_epoch AND form IN (0, in_form) FOR UPDATE;
    IF NOT FOUND OR NOT EXISTS (SELECT 1 FROM florin.shard WHERE id = in_shard AND epoch = in_epoch) THEN
        RETURN -1;
    END IF;
    -- Begun already, by a call whose answer was lost.
    IF EXISTS (SELECT 1 FROM florin.view_progress WHERE shard = in_shard AND form = in_form) THEN
        RETURN 0;
    END IF;
    -- In the order of the primary keys, so that no call reads a whole table, with other shards' rows, for a portion.
    DELETE FROM florin.view_payment WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM florin.view_payment WHERE shard = in_shard ORDER BY shard, id LIMIT in_rows
    ));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    cleared := cleared + deleted;
    DELETE FROM florin.view_refund WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM florin.view_refund WHERE shard = in_shard ORDER BY shard, merchant, livemode, id LIMIT in_rows
    ));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    cleared := cleared + deleted;
    DELETE FROM florin.view_moved WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM florin.view_moved WHERE shard = in_shard ORDER BY shard, merchant, livemode, at_ms, place_id LIMIT in_rows
    ));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    cleared := cleared + deleted;
    DELETE FROM florin.view_announced WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM florin.view_announced WHERE shard = in_shard ORDER BY shard, merchant, livemode, seq LIMIT in_rows
    ));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    cleared := cleared + deleted;
    IF cleared = 0 THEN
        UPDATE florin.view_progress SET form = in_form, watermark = 0, hash = NULL, reaches = 0, reaches_hash = NULL
            WHERE shard = in_shard;
    END IF;
    RETURN cleared;
END $$;

-- Applies a batch of all that happened behind `in_from`: 0 applied, 2 fenced, 3 the view lacks what the caller believes it to have, 4 the journal has no
-- record `in_up_to`, so that nothing of the batch is believed. A row is replaced only by a later state; the watermark never goes back, stays where it is
-- if `in_up_to` is before it, and goes there only if the batch is whole now: parts of one leave it. Refunds and movements name their payment by its place in the batch. The journal's own rows are not locked: payments and renewals of leases do not wait.
CREATE FUNCTION florin.apply_view(
    in_shard integer, in_epoch bigint, in_form bigint, in_from bigint, in_up_to bigint, in_is_whole boolean,
    in_ids text[], in_seqs bigint[], in_merchants text[], in_livemodes boolean[], in_created_at_ms bigint[], in_statuses text[],
    in_currencies text[], in_amounts bigint[], in_captured bigint[], in_refunded bigint[], in_fees bigint[], in_customers text[],
    in_customer_digests bigint[], in_metadata_masks bigint[], in_waits_for smallint[], in_due_ms bigint[], in_states bytea[],
    in_refunds text[], in_refund_places integer[],
    in_moved_at_ms bigint[], in_moved_ids bytea[], in_moved_kinds text[], in_moved_operations text[], in_moved_amounts bigint[],
    in_moved_fees bigint[], in_moved_places integer[],
    in_announced_seqs bigint[], in_announced_merchants text[], in_announced_livemodes boolean[], in_announced_at_ms bigint[],
    in_announced_payments text[], in_announced_numbers bigint[], in_announced_kinds bytea[]
) RETURNS smallint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    present bigint;
    reached bigint;
    record_hash bytea;
BEGIN
    -- Held to the end: whoever claims the view next waits for this batch, and finds it there.
    SELECT watermark, reaches INTO present, reached FROM florin.view_progress
        WHERE shard = in_shard AND epoch = in_epoch AND form = in_form FOR UPDATE;
    IF NOT FOUND OR NOT EXISTS (SELECT 1 FROM florin.shard WHERE id = in_shard AND epoch = in_epoch) THEN
        RETURN 2;
    END IF;
    IF present < in_from THEN
        RETURN 3;
    END IF;
    SELECT hash INTO record_hash FROM florin.commit_record WHERE shard = in_shard AND seq = in_up_to;
    IF NOT FOUND THEN
        RETURN 4;
    END IF;
    IF in_up_to > reached THEN
        UPDATE florin.view_progress SET reaches = in_up_to, reaches_hash = record_hash WHERE shard = in_shard;
    END IF;
    IF in_is_whole AND in_up_to > present THEN
        UPDATE florin.view_progress SET watermark = in_up_to, hash = record_hash WHERE shard = in_shard;
    END IF;
    INSERT INTO florin.view_payment AS kept (
        shard, id, seq, merchant, livemode, created_at_ms, status, currency, amount_minor, captured_minor, refunded_minor, fee_minor,
        customer, customer_digest, metadata_mask, waits_for, due_ms, state
    )
    SELECT in_shard, changed.*
    FROM unnest(
        in_ids, in_seqs, in_merchants, in_livemodes, in_created_at_ms, in_statuses, in_currencies, in_amounts, in_captured, in_refunded,
        in_fees, in_customers, in_customer_digests, in_metadata_masks, in_waits_for, in_due_ms, in_states
    ) AS changed
    ON CONFLICT (shard, id) DO UPDATE SET
        seq = excluded.seq, status = excluded.status, amount_minor = excluded.amount_minor, captured_minor = excluded.captured_minor,
        refunded_minor = excluded.refunded_minor, fee_minor = excluded.fee_minor, customer = excluded.customer,
        customer_digest = excluded.customer_digest, metadata_mask = excluded.metadata_mask, waits_for = excluded.waits_for,
        due_ms = excluded.due_ms, state = excluded.state
    WHERE kept.seq < excluded.seq;
    INSERT INTO florin.view_refund (shard, merchant, livemode, id, payment)
        SELECT in_shard, in_merchants[place], in_livemodes[place], id, in_ids[place]
        FROM unnest(in_refunds, in_refund_places) AS refund (id, place)
        ON CONFLICT DO NOTHING;
    INSERT INTO florin.view_moved (
        shard, merchant, livemode, at_ms, place_id, kind, operation, payment, currency, amount_minor, fee_minor
    )
    SELECT in_shard, in_merchants[place], in_livemodes[place], at_ms, place_id, kind, operation, in_ids[place], in_currencies[place], amount, fee
    FROM unnest(in_moved_at_ms, in_moved_ids, in_moved_kinds, in_moved_operations, in_moved_amounts, in_moved_fees, in_moved_places)
        AS moved (at_ms, place_id, kind, operation, amount, fee, place)
    ON CONFLICT DO NOTHING;
    INSERT INTO florin.view_announced (shard, merchant, livemode, seq, at_ms, payment, first_number, kinds)
        SELECT in_shard, merchant, livemode, seq, at_ms, payment, number, kinds
        FROM unnest(
            in_announced_seqs, in_announced_merchants, in_announced_livemodes, in_announced_at_ms, in_announced_payments,
            in_announced_numbers, in_announced_kinds
        ) AS announced (seq, merchant, livemode, at_ms, payment, number, kinds)
        ON CONFLICT DO NOTHING;
    RETURN 0;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA florin FROM PUBLIC;
