-- Who did what: changes of what is served, sign-ins, erasures, reads of somebody's history. Beside all catalogs, so that it
-- outlives them. No role that logs in owns it: rows come by a function, and go by their age alone.
create table public.audit_records (
    audit_id bigint generated always as identity primary key,
    at timestamptz not null,
    action text not null check (action ~ '^[a-z][a-z_]{0,39}$'),
    catalog text collate "C",
    person text not null check (octet_length(person) between 1 and 400),
    login text not null,
    program text not null,
    about text,
    details jsonb not null,
    user_hash text collate "C"
);
create index on public.audit_records (at);
create index on public.audit_records (user_hash) where user_hash is not null;
comment on table public.audit_records is 'A row is one thing that somebody did; rows are added, and never changed';

create table public.audit_key (
    slot text primary key check (slot = 'key'),
    value text not null
);
insert into public.audit_key values ('key', gen_random_uuid()::text || gen_random_uuid()::text);
comment on table public.audit_key is 'The one row is what user ids are hashed with, so that the audit holds none';

create function public.audit_hash(of_catalog text, user_id text) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select left(encode(sha256(convert_to(concat_ws(chr(10), k.value, of_catalog, user_id), 'UTF8')), 'hex'), 32) from public.audit_key as k
$$;
comment on function public.audit_hash is 'What stands for a user id in the audit: who knows the id and may call this finds its rows, nobody finds the id';

create function public.record_audit(entries jsonb) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    insert into public.audit_records (at, action, catalog, person, login, program, about, details, user_hash)
    select
        greatest(least(coalesce(e.at, clock_timestamp()), clock_timestamp()), clock_timestamp() - interval '1 hour'),
        e.action, e.catalog,
        left(coalesce(nullif(e.person, ''), nullif(current_setting('recjobs.person', true), ''), session_user), 100),
        session_user, current_setting('application_name'), left(e.about, 300), coalesce(e.details, '{}'),
        case when e.user_id is not null then public.audit_hash(e.catalog, e.user_id) end
    from jsonb_to_recordset(case jsonb_typeof(entries) when 'array' then entries else jsonb_build_array(entries) end)
        as e (at timestamptz, action text, catalog text, person text, about text, details jsonb, user_id text)
$$;
comment on function public.record_audit is 'Add an entry, or an array of them: a JSON object with action and, if known, catalog, person, about, details (an object), user_id (stored as a hash) and at (at most an hour ago). Without a person it is who the session says (recjobs.person), else the login';

create function public.record_read(of_catalog text, user_id text, how text) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select public.record_audit(jsonb_build_object('action', 'read_history', 'catalog', of_catalog, 'user_id', user_id, 'about', how))
$$;
comment on function public.record_read is 'Note that the caller looked at what somebody bought';

create function public.prune_audit(days integer) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    n bigint;
begin
    delete from public.audit_records where at < clock_timestamp() - make_interval(days => greatest(days, 30));
    get diagnostics n = row_count;
    if n > 0 then
        perform public.record_audit(jsonb_build_object('action', 'prune_audit', 'details', jsonb_build_object('rows', n, 'days', greatest(days, 30))));
    end if;
    return n;
end
$$;
comment on function public.prune_audit is 'Remove what is older than so many days, but nothing of the last 30; returns how many rows';

create view public.audit as
select audit_id, at, action, catalog, person, login, program, about, details, user_hash
from public.audit_records;
comment on view public.audit is 'A row is one thing that somebody did: who, by which login and program, about what; user_hash stands for the user whose history was read';

revoke all on table public.audit_records, public.audit_key, public.audit from public;
revoke all on function public.audit_hash, public.record_audit, public.record_read, public.prune_audit from public;
grant usage on schema public to recjobs_owner;
grant select on public.audit to recjobs_owner;
grant execute on function public.audit_hash, public.record_audit, public.record_read, public.prune_audit to recjobs_owner;
grant execute on function public.record_audit to recjobs_editor, recjobs_web;
grant execute on function public.record_read to recjobs_reader;
