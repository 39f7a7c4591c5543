create or replace function follow_the_clock() returns trigger
language plpgsql set search_path from current
as $$
begin
    new.version := greatest(old.version + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint);
    return new;
end
$$;
comment on function follow_the_clock is 'Number a change of the rules';
revoke all on function follow_the_clock from public;
