-- The web app's own role: it reads what analysts read, and none of them can end its sessions or change its defaults.
do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'recjobs_web') then
        create role recjobs_web;
    end if;
    alter role recjobs_web login;
    if exists (select from pg_catalog.pg_roles where rolname = 'recjobs_web' and rolconnlimit = -1) then
        execute pg_catalog.format(
            'alter role recjobs_web connection limit %s',
            greatest(5, 60 * (
                cast(pg_catalog.current_setting('max_connections') as integer)
                - cast(pg_catalog.current_setting('superuser_reserved_connections') as integer)
                - cast(coalesce(pg_catalog.current_setting('reserved_connections', true), '0') as integer)
            ) / 100)
        );
    end if;
    grant recjobs_reader to recjobs_web with inherit true, set false;
    execute pg_catalog.format('grant connect on database %I to recjobs_web', pg_catalog.current_database());
end
$$;
comment on role recjobs_web is 'Serves over HTTP what recjobs_reader may read';
alter role recjobs_web set statement_timeout = '30s';
alter role recjobs_web set idle_in_transaction_session_timeout = '60s';

-- A loader's lock is an open transaction that waits while the batch is copied.
alter role recjobs_loader set idle_in_transaction_session_timeout = 0;

create table public.applied_migrations (
    migration_id text collate "C" primary key,
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    noted_at timestamptz not null default clock_timestamp()
);
comment on table public.applied_migrations is 'A row is one migration of this database and the SHA-256 of its text';

-- Nobody's default search path begins with a schema of their own name, which the owner of the catalogs could make.
do $$
begin
    execute pg_catalog.format('alter database %I set search_path to public', pg_catalog.current_database());
exception when insufficient_privilege then
    raise warning 'not the owner of database %: its default search path still begins with "$user"', pg_catalog.current_database();
end
$$;
