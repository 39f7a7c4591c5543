create or replace function limit_lock_waits() returns void
language sql set search_path from current
as $$
    select set_config('lock_timeout', (extract(epoch from least(
        interval '10 seconds',
        nullif(current_setting('lock_timeout')::interval, interval '0'),
        nullif(current_setting('statement_timeout')::interval, interval '0')
    )) * 1000)::bigint::text, true)
$$;
comment on function limit_lock_waits is 'Let this transaction wait for no lock longer than ten seconds, nor longer than its session allows';
revoke all on function limit_lock_waits from public;
