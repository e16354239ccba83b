-- The journal of every shard, and who may append to it.

-- One row per shard. Updated by every batch and every renewal, so pages keep room for the next version of a row.
CREATE TABLE florin.shard (
    id integer PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    head bigint NOT NULL DEFAULT 0,
    hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    batch_id bytea,
    -- The process that has it, which node that is, and where its API answers.
    owner text NOT NULL DEFAULT '',
    node text NOT NULL DEFAULT '',
    url text NOT NULL DEFAULT '',
    lease_until timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);

-- Which journal this is: what is made from it elsewhere must not meet another one.
CREATE TABLE florin.journal (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    made_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO florin.journal DEFAULT VALUES;

-- What every node must have the same of, as digests or public halves.
CREATE TABLE florin.node_secret (
    name text PRIMARY KEY,
    told text NOT NULL
);
CREATE FUNCTION florin.tell_secret(in_name text, in_told text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO florin.node_secret (name, told) VALUES (in_name, in_told) ON CONFLICT DO NOTHING;
    RETURN (SELECT told FROM florin.node_secret WHERE name = in_name);
END $$;

CREATE TABLE florin.commit_record (
    shard integer NOT NULL,
    seq bigint NOT NULL,
    epoch bigint NOT NULL,
    hash bytea NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (shard, seq)
);

CREATE FUNCTION florin.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'records of the journal are never changed or deleted';
END $$;

CREATE TRIGGER commit_record_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON florin.commit_record
    FOR EACH STATEMENT EXECUTE FUNCTION florin.refuse_change();

-- Appends a batch: 0 appended, 1 it was there already, 2 fenced. The first statement is the fence, and holds the shard's row to the end. It compares
-- the hash as well: of two histories that a failover left behind, numbers may be the same.
CREATE FUNCTION florin.append_batch(
    in_shard integer, in_epoch bigint, in_head bigint, in_prev bytea, in_hash bytea, in_batch bytea, in_hashes bytea[], in_records bytea[],
    in_needs_copy boolean
) RETURNS smallint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    after_batch bigint := in_head + cardinality(in_records);
BEGIN
    -- Said by the server that commits, which may be another one than that of the start.
    IF in_needs_copy AND current_setting('synchronous_standby_names') = '' THEN
        RAISE EXCEPTION 'no standby is synchronous, and a node is configured to need one';
    END IF;
    UPDATE florin.shard SET head = after_batch, hash = in_hash, batch_id = in_batch
        WHERE id = in_shard AND epoch = in_epoch AND head = in_head AND hash = in_prev;
    IF NOT FOUND THEN
        -- A write, so that this commit waits for the copies: the batch's own may have been cut off while it waited.
        UPDATE florin.shard SET batch_id = in_batch
            WHERE id = in_shard AND epoch = in_epoch AND head = after_batch AND hash = in_hash AND batch_id = in_batch;
        IF FOUND THEN
            RETURN 1;
        END IF;
        RETURN 2;
    END IF;
    INSERT INTO florin.commit_record (shard, seq, epoch, hash, bytes)
        SELECT in_shard, in_head + place, in_epoch, record_hash, record_bytes
        FROM unnest(in_hashes, in_records) WITH ORDINALITY AS record (record_hash, record_bytes, place);
    RETURN 0;
END $$;

-- Takes all the shards for a process, or none: no row is answered if another process has one of them and its time is not over.
-- Each taking is a new epoch, which fences out whoever had it before. The caller says from where epochs begin, by its clock, so that one that a
-- failover lost is not given again.
CREATE FUNCTION florin.take_shards(
    in_shards integer[], in_owner text, in_node text, in_url text, in_lease_ms bigint, in_epoch_min bigint
) RETURNS TABLE (shard integer, epoch bigint, head bigint, hash bytea, batch_id bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    -- The mark of a journal that is moved, which only the owner of the schema sets and takes off.
    IF in_owner LIKE 'moved:%' THEN
        RAISE EXCEPTION 'no process is called so' USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- Looked at without a lock first: whoever waits asks often, and must not hold up the one that works.
    PERFORM 1 FROM florin.shard
        WHERE id = ANY (in_shards) AND owner <> in_owner AND lease_until > clock_timestamp();
    IF FOUND THEN
        RETURN;
    END IF;
    -- Always in this order, here and when renewing: two processes never wait for each other.
    INSERT INTO florin.shard (id) SELECT id FROM unnest(in_shards) AS wanted (id) ORDER BY id ON CONFLICT DO NOTHING;
    PERFORM 1 FROM florin.shard WHERE id = ANY (in_shards) ORDER BY id FOR UPDATE;
    PERFORM 1 FROM florin.shard
        WHERE id = ANY (in_shards) AND owner <> in_owner AND lease_until > clock_timestamp();
    IF FOUND THEN
        -- What was made above is nobody's: whoever moves the journal counts its shards.
        DELETE FROM florin.shard WHERE id = ANY (in_shards) AND epoch = 0 AND owner = '';
        RETURN;
    END IF;
    RETURN QUERY
        UPDATE florin.shard AS taken
        SET epoch = greatest(taken.epoch + 1, in_epoch_min), owner = in_owner, node = in_node, url = in_url,
            lease_until = clock_timestamp() + in_lease_ms * interval '1 millisecond'
        WHERE taken.id = ANY (in_shards)
        RETURNING taken.id, taken.epoch, taken.head, taken.hash, taken.batch_id;
END $$;

-- Goes on having them: how many. An epoch stays, so whoever was not robbed meanwhile has lost nothing.
CREATE FUNCTION florin.renew_shards(in_owner text, in_lease_ms bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    renewed bigint;
BEGIN
    IF in_owner LIKE 'moved:%' THEN
        RAISE EXCEPTION 'no process is called so' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM 1 FROM florin.shard WHERE owner = in_owner ORDER BY id FOR UPDATE;
    UPDATE florin.shard SET lease_until = clock_timestamp() + in_lease_ms * interval '1 millisecond'
        WHERE owner = in_owner;
    GET DIAGNOSTICS renewed = ROW_COUNT;
    RETURN renewed;
END $$;

-- Lets go of them, so that nobody has to wait for the end of the lease. A renewal that arrives later finds nothing to renew.
CREATE FUNCTION florin.release_shards(in_owner text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF in_owner LIKE 'moved:%' THEN
        RAISE EXCEPTION 'no process is called so' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM 1 FROM florin.shard WHERE owner = in_owner ORDER BY id FOR UPDATE;
    -- Without an owner, so that a renewal that is still on its way finds nothing.
    UPDATE florin.shard SET owner = '', lease_until = '-infinity' WHERE owner = in_owner;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA florin FROM PUBLIC;
