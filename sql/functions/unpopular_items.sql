create or replace function unpopular_items(without text[], in_category text, in_segment text, kept_out integer[], n integer) returns setof text
language sql stable security definer set search_path from current
as $$
    with hidden as materialized (
        select b.item_id, b.category
        from current_rules as b
        where b.hides and (b.segment is null or b.segment = in_segment) and b.starts_at <= now()
    )
    -- In order first, then by the rules and only until there are enough: those are dear, and the catalogue may be large.
    select i.item_id
    from (
        select o.item_id, o.categories, o.n_users
        from item_records as o
        where o.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live') and o.available
            -- A popular list that is not cut off holds the whole catalogue, or the whole category: there is no rest to look for.
            and (
                select cardinality(p.item_ids) >= b.top_n_stored
                from live_batch as l
                join batch_records as b on b.batch_id = l.batch_id
                join popular_lists as p on p.batch_id = l.batch_id
                where p.segment = coalesce('category:' || in_category, 'all')
            )
            and not exists (select from unnest(without) as w (item_id) where w.item_id = o.item_id)
            and (in_category is null or in_category = any(o.categories))
            and (o.item_idx is null or not exists (select from unnest(kept_out) as k (item_idx) where k.item_idx = o.item_idx))
        order by o.n_users desc, o.item_id
        offset 0
    ) as i
    where case
        when (select count(*) from hidden) = 0 then true
        when i.item_id in (select b.item_id from hidden as b where b.item_id is not null) then false
        -- in the select list, where it is a look into a hash table for each category, and never a join
        else (
            select not coalesce(bool_or(c.category in (select b.category from hidden as b where b.category is not null)), false)
            from unnest(i.categories) as c (category)
        )
    end
    order by i.n_users desc, i.item_id
    limit n
$$;
comment on function unpopular_items is 'What a list ends with when the popular list is used up: the rest of the catalogue, but for blocked items';
revoke all on function unpopular_items from public;
