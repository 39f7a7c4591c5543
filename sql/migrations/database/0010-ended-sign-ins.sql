-- Operators who signed out of the web app: their cookies, of which somebody may have a copy, are refused by every process
-- of it. Signing in is of no catalog, so this is beside them all.
create table public.ended_sign_ins (
    sign_in text collate "C" primary key check (sign_in ~ '^[0-9a-f]{32}$'),
    ended_at timestamptz not null default clock_timestamp()
);
comment on table public.ended_sign_ins is 'A row is one sign-in that ended by signing out, as a hash; kept for a day, as a cookie is valid for twelve hours';

create function public.end_sign_in(ended text) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    delete from public.ended_sign_ins where ended_at < pg_catalog.clock_timestamp() - interval '1 day';
    insert into public.ended_sign_ins (sign_in) values (ended) on conflict do nothing;
$$;
comment on function public.end_sign_in is 'Refuse a sign-in from now on, and forget those that ended long ago';

revoke all on table public.ended_sign_ins from public;
revoke all on function public.end_sign_in from public;
grant usage on schema public to recjobs_reader, recjobs_web, recjobs_editor;
grant select on public.ended_sign_ins to recjobs_reader;
grant execute on function public.end_sign_in to recjobs_editor, recjobs_web;
