-- Views that people keep for themselves: the parameters of a page's address under a name of their own. They go with
-- their person; a server or metric that they name may be gone when they are opened, as with any address.
CREATE TABLE chatops.saved_views (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id integer NOT NULL REFERENCES chatops.users ON DELETE CASCADE,
    name text NOT NULL,
    query jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX saved_views_name ON chatops.saved_views (user_id, lower(name));
