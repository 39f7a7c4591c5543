-- Runs as the owner, since it looks deeper into lists than is served.
create or replace function recommend_narrowed(
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
            from current_rules as r
            where r.kind = 'pin' and (r.segment is null or r.segment = own.segment) and r.starts_at <= now()
        ),
        chosen as (
            select distinct on (c.item_id) c.*
            from candidates as c
            -- limit: item by item by the primary key, never the whole catalogue
            cross join lateral (select * from item_records as o where o.batch_id = live.batch_id and o.item_id = c.item_id limit 1) as i
            where c.item_id <> all(without)
                and (recommend_narrowed.category is null or recommend_narrowed.category = any(i.categories))
                -- without an item_idx the batch is from before the rules, and does not say what its users have seen
                and (
                    c.rung = 1
                    or i.available and (own.user_id is null or i.item_idx is not null and (kept_out is null or i.item_idx <> all(kept_out)))
                )
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
revoke all on function recommend_narrowed from public;
