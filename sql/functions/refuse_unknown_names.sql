create or replace function refuse_unknown_names() returns trigger
language plpgsql security definer set search_path from current
as $$
declare
    live text := (select l.batch_id from live_batch as l where l.slot = 'live');
    what text;
    wanted text;
    near text[];
begin
    if live is null or current_setting('recjobs.allow_unknown', true) = 'on' then
        return null;
    end if;
    if new.item_id is not null and not exists (select from item_records as i where i.batch_id = live and i.item_id = new.item_id) then
        what := 'item';
        wanted := new.item_id;
    elsif new.category is not null
        and not exists (select from item_records as i where i.batch_id = live and new.category = any(i.categories)) then
        what := 'category';
        wanted := new.category;
    elsif new.segment is not null
        and not exists (select from popular_lists as p where p.batch_id = live and p.segment = 'segment:' || new.segment)
        and not exists (select from top_n as t where t.batch_id = live and t.segment = new.segment) then
        what := 'segment';
        wanted := new.segment;
    else
        return null;
    end if;
    near := nearest_names(wanted, what);
    raise exception using errcode = 'RJ064', message = format(
        'there is no %s %s in the live batch%s. For one that is still to come say allow_unknown',
        what, to_json(wanted)::text,
        case when near = '{}' then ', nor a similar one'
        else '; the nearest: ' || (select string_agg(to_json(n)::text, ', ' order by at) from unnest(near) with ordinality as n (n, at)) end
    );
end
$$;
comment on function refuse_unknown_names is 'Refuse a new rule on an item, category or segment that the live batch does not have';
revoke all on function refuse_unknown_names from public;
