create or replace function erasures_to_apply() returns table (salts text[], people text[], is_open boolean, is_blocking boolean)
language sql stable security definer set search_path from current
as $$
    select
        array(select distinct e.salt from erased_people as e order by e.salt),
        array(select e.person from erased_people as e order by e.person),
        exists (select from open_erasures),
        exists (select from open_erasures as o where o.is_blocking)
$$;
comment on function erasures_to_apply is 'The one row is whom a night leaves out, by salted hashes, their salts, whether an erasure has begun and not ended, and whether one is rewriting the files of nights';
revoke all on function erasures_to_apply from public;
