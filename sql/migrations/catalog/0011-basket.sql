-- Lists made when they are asked for, out of those that are finished: for a basket, and a user's list narrowed.
-- Both run as the owner, since they look deeper into lists than is served.

create function basket(item_ids text[], n integer default 20)
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

create function unpopular_items(without text[], in_category text, in_segment text, kept_out integer[], n integer) returns setof text
language sql stable security definer set search_path from current
as $$
    select i.item_id
    from item_records as i
    where i.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live') and i.available
        -- A popular list that is not cut off holds the whole catalogue, or the whole category: there is no rest to look for.
        and (
            select cardinality(p.item_ids) >= b.top_n_stored
            from live_batch as l
            join batch_records as b on b.batch_id = l.batch_id
            join popular_lists as p on p.batch_id = l.batch_id
            where p.segment = coalesce('category:' || in_category, 'all')
        )
        and not exists (select from unnest(without) as w (item_id) where w.item_id = i.item_id)
        and (in_category is null or in_category = any(i.categories))
        and (i.item_idx is null or not exists (select from unnest(kept_out) as k (item_idx) where k.item_idx = i.item_idx))
        and not exists (
            select from rule_items as b
            where b.item_id = i.item_id and b.kind in ('block', 'expire', 'out_of_stock')
                and (b.segment is null or b.segment = in_segment) and b.starts_at <= now() and b.ends_at > now()
        )
    order by i.n_users desc, i.item_id
    limit n
$$;
comment on function unpopular_items is 'What a list ends with when the popular list is used up: the rest of the catalogue, but for blocked items';

create function recommend_narrowed(
    user_id text, n integer default 20, skip integer default 0,
    exclude text[] default '{}', category text default null, prefer text[] default '{}'
)
returns table (rank integer, item_id text, score real, source text, because text[], batch_id text)
language plpgsql stable security definer set search_path from current
as $$
#variable_conflict use_column
declare
    live batch_records;
    own top_n;
    kept_out integer[];
    without text[] := array_remove(recommend_narrowed.exclude, null);
    item_ids text[] := '{}';
    scores real[];
    sources text[];
    places integer[];
    served record;
begin
    select b.* into live from batch_records as b where b.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
    select t.* into own from top_n as t where t.batch_id = live.batch_id and t.user_id = recommend_narrowed.user_id;
    select h.seen into kept_out from history_lists as h where h.batch_id = live.batch_id and h.user_id = recommend_narrowed.user_id;
    -- The user's own list first, then what is popular, then the rest of the catalogue; each only if there is too little
    -- so far to serve in full, whatever n and skip are: the next page goes on where this one ends.
    for rungs in 1..3 loop
        with candidates as (
            select
                e.item_id, e.score,
                case when e.at <= own.n_model then own.source when e.at <= own.n_model + own.n_category then 'category' else 'popular' end as source,
                e.because, 1 as rung, e.at
            from unnest(own.item_ids, own.scores, own.because) with ordinality as e (item_id, score, because, at)
            union all
            select e.item_id, max(e.score), 'category', null, 2, row_number() over (order by max(e.score) desc, min(e.at), e.item_id)
            from popular_lists as p
            cross join lateral unnest(p.item_ids, p.scores) with ordinality as e (item_id, score, at)
            where p.batch_id = live.batch_id and own.user_id is null
                and p.segment in (select 'category:' || w.name from unnest(recommend_narrowed.prefer) as w (name))
            group by e.item_id
            union all
            select e.item_id, e.score, case when recommend_narrowed.category is null then 'popular' else 'category' end, null, 3, e.at
            from (
                select p.item_ids, p.scores
                from popular_lists as p
                where p.batch_id = live.batch_id and (own.user_id is null or rungs > 1)
                    and case
                        when recommend_narrowed.category is null then p.segment in ('segment:' || own.segment, 'all')
                        else p.segment = 'category:' || recommend_narrowed.category
                    end
                order by p.segment = 'all'
                limit 1
            ) as p
            cross join lateral unnest(p.item_ids, p.scores) with ordinality as e (item_id, score, at)
            union all
            select e.item_id, 0, 'popular', null, 4, e.at
            from unpopular_items(item_ids || without, recommend_narrowed.category, own.segment, kept_out, 4 * live.top_n_served)
                with ordinality as e (item_id, at)
            where rungs > 2
            union all
            select r.item_id, 0, 'pinned', null, 5, 0
            from rule_items as r
            where r.kind = 'pin' and (r.segment is null or r.segment = own.segment) and r.starts_at <= now() and r.ends_at > now()
        ),
        chosen as (
            select distinct on (c.item_id) c.*
            from candidates as c
            -- limit: item by item by the primary key, never the whole catalogue
            cross join lateral (select * from item_records as o where o.batch_id = live.batch_id and o.item_id = c.item_id limit 1) as i
            where c.item_id <> all(without)
                and (recommend_narrowed.category is null or recommend_narrowed.category = any(i.categories))
                and (c.rung = 1 or i.available and (kept_out is null or i.item_idx is null or i.item_idx <> all(kept_out)))
            order by c.item_id, c.rung, c.at
        ),
        -- Scores of different popular lists meet here; they fall within a source all the same.
        scored as (
            select c.*, min(c.score) over (partition by c.source order by c.rung, c.at) as least from chosen as c
        )
        select
            coalesce(array_agg(s.item_id order by s.rung, s.at), '{}'), coalesce(array_agg(s.least order by s.rung, s.at), '{}'),
            coalesce(array_agg(s.source order by s.rung, s.at), '{}'), coalesce(array_agg(s.because order by s.rung, s.at), '{}')
        into item_ids, scores, sources, places
        from scored as s;

        select a.* into served
        from apply_rules(item_ids, scores, sources, places, null, own.segment, live.top_n_served, true) as a;
        exit when cardinality(served.item_ids) >= live.top_n_served;
    end loop;
    return query
    select
        e.rank::integer, e.item_id, e.score, e.source,
        array_remove(array[own.reasons[e.because & 1023], own.reasons[(e.because >> 10) & 1023], own.reasons[e.because >> 20]], null),
        live.batch_id
    from unnest(served.item_ids, served.scores, served.sources, served.because) with ordinality as e (item_id, score, source, because, rank)
    where e.rank > recommend_narrowed.skip and e.rank <= recommend_narrowed.skip::bigint + recommend_narrowed.n;
end
$$;
comment on function recommend_narrowed is 'A user''s list without some items, or of one category only, by the rules in force, its n places after the first skip; prefer: categories that come first for a user the batch does not know. What the HTTP API answers, item for item';

do $$
begin
    execute format('revoke all on all functions in schema %I from public', current_schema());
end
$$;
grant execute on function basket(text[], integer), recommend_narrowed(text, integer, integer, text[], text, text[]) to recjobs_reader;
