-- Tells lookup services at once when a user was changed, banned or deleted; without it they notice when what they know
-- of the user is no longer fresh. Run this file once, in the database of the users.
CREATE OR REPLACE FUNCTION jwe_gate_user_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    id text;
BEGIN
    EXECUTE format('SELECT ($1).%I::text', TG_ARGV[0]) INTO id USING OLD;
    -- Nobody's session has a longer id, and a notice that is too long would make the change itself fail.
    IF octet_length(id) <= 1024 THEN
        PERFORM pg_notify('jwe_gate_user_changed', txid_current()::text || ' ' || id);
    END IF;
    RETURN NULL;
END $$;

-- Then attach it, with the table, its id column, and those columns that decide who passes or what is said of the user.
-- Leave out what changes with every visit:
--
--   CREATE TRIGGER jwe_gate_user_changed AFTER DELETE OR UPDATE OF banned_until, role ON users
--       FOR EACH ROW EXECUTE FUNCTION jwe_gate_user_changed('id');
