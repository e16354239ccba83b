-- What nodes keep beside the journal: customers and cards, links, webhook endpoints. Rows as they are in the node's own file, sealed as there.

CREATE TABLE florin.store (
    name text PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 0,
    change_id bytea,
    -- That of the tables whose rows these are.
    form bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE florin.store_row (
    store text NOT NULL,
    table_name text NOT NULL,
    key bytea NOT NULL,
    cells bytea NOT NULL,
    PRIMARY KEY (store, table_name, key)
);

-- Whose turns a store has had, and in which state each began: what a node's file has from an earlier turn is in the history of the store, or not.
CREATE TABLE florin.store_claim (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    store text NOT NULL,
    claim_id bytea NOT NULL,
    epoch bigint NOT NULL,
    version bigint NOT NULL,
    change_id bytea,
    UNIQUE (store, claim_id)
);

-- From now on only this epoch changes the store: the state in which it is, and the one in which the turn that the file had its last changes in was
-- over, if that turn is known. Whoever expects rows and would have the first turn of all changes nothing: the store is unknown. No row if somebody else has the first shard, which is held to the end of the transaction.
CREATE FUNCTION florin.claim_store(in_store text, in_epoch bigint, in_claim bytea, in_form bigint, in_last_claim bytea, in_expects boolean)
RETURNS TABLE (version bigint, change_id bytea, form bigint, left_version bigint, left_change bytea, is_unknown boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    present florin.store%ROWTYPE;
BEGIN
    PERFORM 1 FROM florin.shard WHERE id = 0 AND epoch = in_epoch FOR SHARE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    is_unknown := in_expects AND NOT EXISTS (SELECT 1 FROM florin.store_claim WHERE store = in_store);
    IF is_unknown THEN
        RETURN NEXT;
        RETURN;
    END IF;
    INSERT INTO florin.store (name, form) VALUES (in_store, in_form) ON CONFLICT DO NOTHING;
    UPDATE florin.store AS claimed SET epoch = in_epoch WHERE claimed.name = in_store RETURNING claimed.* INTO present;
    INSERT INTO florin.store_claim (store, claim_id, epoch, version, change_id)
        VALUES (in_store, in_claim, in_epoch, present.version, present.change_id);
    SELECT after.version, after.change_id INTO left_version, left_change
        FROM florin.store_claim AS held JOIN florin.store_claim AS after ON after.store = held.store AND after.number > held.number
        WHERE held.store = in_store AND held.claim_id = in_last_claim
        ORDER BY after.number LIMIT 1;
    version := present.version;
    change_id := present.change_id;
    form := present.form;
    RETURN NEXT;
END $$;

-- Changes rows: 0 changed, 1 it was done already, 2 fenced. Rows without cells are deleted. Whoever claims the store next waits for this, and reads
-- what it has made; the shards are not held, so that payments do not wait for a store.
CREATE FUNCTION florin.change_store(
    in_store text, in_epoch bigint, in_version bigint, in_change bytea, in_tables text[], in_keys bytea[], in_cells bytea[],
    in_needs_copy boolean
) RETURNS smallint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF in_needs_copy AND current_setting('synchronous_standby_names') = '' THEN
        RAISE EXCEPTION 'no standby is synchronous, and a node is configured to need one';
    END IF;
    UPDATE florin.store SET version = in_version + 1, change_id = in_change
        WHERE name = in_store AND epoch = in_epoch AND version = in_version;
    IF NOT FOUND THEN
        -- A write, so that this commit waits for the copies.
        UPDATE florin.store SET change_id = in_change
            WHERE name = in_store AND epoch = in_epoch AND version = in_version + 1 AND change_id = in_change;
        IF FOUND THEN
            RETURN 1;
        END IF;
        RETURN 2;
    END IF;
    DELETE FROM florin.store_row AS kept
        USING unnest(in_tables, in_keys, in_cells) AS changed (table_name, key, cells)
        WHERE kept.store = in_store AND kept.table_name = changed.table_name AND kept.key = changed.key AND changed.cells IS NULL;
    INSERT INTO florin.store_row (store, table_name, key, cells)
        SELECT in_store, changed.table_name, changed.key, changed.cells
        FROM unnest(in_tables, in_keys, in_cells) AS changed (table_name, key, cells)
        WHERE changed.cells IS NOT NULL
        ON CONFLICT (store, table_name, key) DO UPDATE SET cells = excluded.cells;
    RETURN 0;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA florin FROM PUBLIC;
