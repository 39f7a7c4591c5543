-- Runs as the owner, since it looks deeper into lists than is served.
create or replace function basket(item_ids text[], n integer default 20)
returns table (rank integer, item_id text, score real, source text, batch_id text)
language plpgsql stable security definer set search_path from current
as $$
#variable_conflict use_column
declare
    live batch_records;
    held text[] := array_remove(basket.item_ids, null);
    wanted integer;
    listed text[];
    points real[];
    origins text[];
begin
    select b.* into live from batch_records as b where b.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
    wanted := greatest(least(basket.n, live.top_n_served), 0);
    -- The order within sum() makes ties the same from call to call.
    select coalesce(array_agg(a.item_id order by a.score desc, a.item_id), '{}'), array_agg(a.score::real order by a.score desc, a.item_id)
    into listed, points
    from (
        select s.similar_item_id as item_id, sum(s.score::double precision order by s.item_id) as score
        from similar_items as s
        where s.item_id = any(held) and s.similar_item_id <> all(held)
        group by s.similar_item_id
        order by score desc, s.similar_item_id
        limit wanted
    ) as a;
    origins := array_fill('similar'::text, array[cardinality(listed)]);
    if cardinality(listed) < wanted then
        select
            listed || array_agg(p.item_id order by p.rank), points || array_agg(p.score order by p.rank),
            origins || array_agg(p.source order by p.rank)
        into listed, points, origins
        from (
            select q.*
            from popular_items as q
            where q.segment = 'all' and q.item_id <> all(held || listed)
            order by q.rank
            limit wanted - cardinality(listed)
        ) as p;
    end if;
    if cardinality(listed) < wanted then
        select listed || array_agg(r.item_id), points || array_agg(0::real), origins || array_agg('popular'::text)
        into listed, points, origins
        from unpopular_items(held || listed, null, null, null, wanted - cardinality(listed)) as r (item_id);
    end if;
    return query
    select e.rank::integer, e.item_id, e.score, e.source, live.batch_id
    from unnest(listed, points, origins) with ordinality as e (item_id, score, source, rank);
end
$$;
comment on function basket is 'Items that go with all items of a basket, by the sum of their scores in similar_items, then what is popular: what the HTTP API answers, item for item. Items of the basket are not among them; unknown ones are ignored';
revoke all on function basket from public;
