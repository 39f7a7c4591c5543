create or replace function nearest_names(wanted text, what text) returns text[]
language sql stable set search_path from current
as $$
    with live as (
        select b.batch_id, b.n_items > 50000 as is_large
        from batch_records as b
        join live_batch as l using (batch_id)
        where l.slot = 'live'
    ),
    names as (
        -- of a large catalogue only the ids that begin or end alike: to compare all would take seconds
        select i.item_id as name, i.title
        from live
        join item_records as i on i.batch_id = live.batch_id
        where what = 'item' and (
            not is_large or lower(i.title) = lower(btrim(wanted)) or left(lower(i.item_id), 3) = left(lower(btrim(wanted)), 3)
            or right(lower(i.item_id), 3) = right(lower(btrim(wanted)), 3)
        )
        union all
        select distinct c.name, null
        from live
        join item_records as i on i.batch_id = live.batch_id
        cross join lateral unnest(i.categories) as c (name)
        where what = 'category'
        union all
        select substr(p.segment, 9), null
        from live
        join popular_lists as p on p.batch_id = live.batch_id
        where what = 'segment' and p.segment like 'segment:%'
    ),
    pairs as (
        select array_agg(distinct substr(lower(btrim(wanted)), k, 2)) as of_wanted
        from generate_series(1, greatest(length(btrim(wanted)) - 1, 1)) as k
    ),
    ranked as (
        select
            n.name, lower(btrim(n.name)) = lower(btrim(wanted)) as is_same, coalesce(lower(n.title) = lower(btrim(wanted)), false) as is_title,
            2.0 * (select count(*) from unnest(of_wanted) as p (pair) where position(p.pair in lower(n.name)) > 0)
                / (cardinality(of_wanted) + greatest(length(n.name) - 1, 1)) as likeness
        from names as n
        cross join pairs
    )
    select array(
        select r.name
        from ranked as r
        where r.is_same or r.is_title or r.likeness >= 0.3
        order by r.is_same desc, r.is_title desc, r.likeness desc, r.name
        limit 3
    )
$$;
comment on function nearest_names is 'Up to three items (by id or title), categories or segments of the live batch whose names are most like a wanted one: the same but for case and blanks, else by the pairs of letters that both have';
revoke all on function nearest_names from public;
