-- Merchants' credentials at providers are kept here as well, as a store like the others, whose rows are the sealed files. Nothing new is needed for
-- that; but a build that does not know of it would keep what it is given in its node's folder alone, so that it must not open this database any more.

COMMENT ON TABLE florin.store IS 'What nodes keep beside the journal: customers and cards, links, webhook endpoints, merchants'' credentials.';
