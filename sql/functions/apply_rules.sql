-- What comes in from outside must not be what the user has seen. A batch from before the rules does not say what that is (its
-- items have no item_idx, its `seen` is null for everybody): into its users' lists nothing comes in.
create or replace function apply_rules(
    inout item_ids text[], inout scores real[], inout sources text[], inout because integer[],
    whose text, in_segment text, n integer, closed boolean
)
language plpgsql stable security definer set search_path from current
as $$
declare
    live text;
    outside text[];  -- what is pinned and stands not in the list
    n_met integer;
    taken_out bigint[];  -- places in the list, counted from 1
    over_caps text[];
    put_in text[];  -- what is pinned or boosted
    put_at bigint[];  -- where each stood in the list; null: nowhere
    put_source text[];
    place integer[];
    kept_before integer[];  -- how many of the rest stand before each
    kept_out integer[];
    -- A list that is shorter than what is served has every item that it may have: nothing but a pin comes in.
    filled boolean := closed or cardinality(item_ids) < n;
begin
    select array_agg(distinct r.item_id) into outside
    from current_rules as r
    where r.kind = 'pin' and not closed and (r.segment is null or r.segment = in_segment) and r.starts_at <= now()
        and r.item_id <> all(apply_rules.item_ids);
    if outside is not null then
        select l.batch_id into live from live_batch as l where l.slot = 'live';
        if whose is not null then
            select h.seen into kept_out from history_lists as h where h.batch_id = live and h.user_id = whose;
        end if;
        select array_agg(o.item_id) into outside
        from unnest(outside) as o (item_id)
        join item_records as i on i.batch_id = live and i.item_id = o.item_id
        where i.available and (whose is null or i.item_idx is not null and (kept_out is null or i.item_idx <> all(kept_out)));
    end if;
    loop
        -- Each rule about each item is looked up once, and by windows: nobody can say how many there will be, so a join of
        -- them with themselves might get a plan that compares each with each.
        with met as materialized (
            select
                m.*, bool_or(m.hides) over of_item as hidden, bool_or(m.kind = 'pin') over of_item as pinned,
                coalesce(min(m.place) over of_item, ceil(m.listed_at / max(m.factor) over of_item))::integer as put_place
            from (
                select r.*, case when r.at <= cardinality(apply_rules.item_ids) then r.at end as listed_at
                from rules_about(apply_rules.item_ids || outside, in_segment) as r
            ) as m
            window of_item as (partition by m.item_id)
        ),
        put as (
            select distinct on (m.item_id) m.item_id, m.listed_at as at, m.pinned, m.put_place
            from met as m
            where m.put_place is not null and not m.hidden
            order by m.item_id
        ),
        counted as (
            select
                m.item_id, m.at_most,
                row_number() over (
                    partition by m.rule_id, m.category
                    order by coalesce(m.put_place, m.listed_at), m.pinned desc, m.listed_at nulls first, m.item_id collate "C"
                ) as nth
            from met as m
            where m.kind = 'cap' and not m.hidden
        ),
        ordered as (
            select p.*, row_number() over (order by p.put_place, not p.pinned, p.at, p.item_id collate "C") as i from put as p
        )
        select
            (select count(*) from met), (select array_agg(distinct m.listed_at) from met as m where m.hidden and m.listed_at is not null),
            array_agg(p.item_id order by p.i), array_agg(p.at order by p.i),
            array_agg(case when p.pinned then 'pinned' else 'boosted' end order by p.i), array_agg(p.put_place order by p.i),
            (select array_agg(distinct c.item_id) from counted as c where c.nth > c.at_most)
        into n_met, taken_out, put_in, put_at, put_source, place, over_caps
        from ordered as p;
        if n_met = 0 then
            item_ids := item_ids[1:n];
            scores := scores[1:n];
            sources := sources[1:n];
            because := because[1:n];
            return;
        end if;
        if over_caps is not null then
            taken_out := taken_out || array(
                select e.at from unnest(apply_rules.item_ids) with ordinality as e (item_id, at) where e.item_id = any(over_caps)
            );
        end if;
        exit when filled or cardinality(item_ids)
            - (select count(*) from unnest(taken_out) as t (at) where t.at <= cardinality(apply_rules.item_ids)) >= n;

        -- Too little is left: go on with what is popular, eligible, and not kept out of this user's list.
        filled := true;
        if live is null then
            select l.batch_id into live from live_batch as l where l.slot = 'live';
            if whose is not null then
                select h.seen into kept_out from history_lists as h where h.batch_id = live and h.user_id = whose;
            end if;
        end if;
        select
            apply_rules.item_ids || array_agg(f.item_id order by f.at),
            apply_rules.scores || array_agg(least(f.score, apply_rules.scores[cardinality(apply_rules.item_ids)]) order by f.at),
            apply_rules.sources || array_agg('popular'::text order by f.at),
            apply_rules.because || array_agg(0 order by f.at)
        into item_ids, scores, sources, because
        from (
            select l.item_ids, l.scores
            from popular_lists as l
            where l.batch_id = live and l.segment in ('segment:' || in_segment, 'all')
            order by l.segment = 'all'
            limit 1
        ) as p
        cross join lateral unnest(p.item_ids, p.scores) with ordinality as f (item_id, score, at)
        join item_records as i on i.batch_id = live and i.item_id = f.item_id
        where f.item_id <> all(apply_rules.item_ids) and i.available
            and (whose is null or i.item_idx is not null and (kept_out is null or i.item_idx <> all(kept_out)));
        outside := array(select o.item_id from unnest(outside) as o (item_id) where o.item_id <> all(apply_rules.item_ids));
    end loop;

    if over_caps is not null then
        select array_agg(p.item_id order by p.i), array_agg(p.at order by p.i), array_agg(p.source order by p.i), array_agg(p.place order by p.i)
        into put_in, put_at, put_source, place
        from unnest(put_in, put_at, put_source, place) with ordinality as p (item_id, at, source, place, i)
        where p.item_id <> all(over_caps);
    end if;
    -- each has its place, or the next one that no other has; the rest stands in the places that are left
    for i in 1..coalesce(cardinality(put_in), 0) loop
        place[i] := greatest(place[i], coalesce(place[i - 1], 0) + 1);
        kept_before[i] := place[i] - i;
    end loop;
    taken_out := taken_out || array_remove(put_at, null);

    if put_in is null then  -- nothing to put in: half the time of what follows, which would say the same
        select
            coalesce(array_agg(k.item_id), '{}'), coalesce(array_agg(k.score), '{}'), coalesce(array_agg(k.source), '{}'),
            coalesce(array_agg(k.because), '{}')
        into item_ids, scores, sources, because
        from (
            select e.item_id, e.score, e.source, e.because
            from unnest(apply_rules.item_ids, apply_rules.scores, apply_rules.sources, apply_rules.because)
                with ordinality as e (item_id, score, source, because, at)
            where e.at <> all(coalesce(taken_out, '{}'))
            limit n
        ) as k;
        return;
    end if;

    select
        coalesce(array_agg(f.item_id order by f.place), '{}'), coalesce(array_agg(f.score order by f.place), '{}'),
        coalesce(array_agg(f.source order by f.place), '{}'), coalesce(array_agg(f.because order by f.place), '{}')
    into item_ids, scores, sources, because
    from (
        select k.item_id, k.score, k.source, k.because, k.j + coalesce(width_bucket(k.j - 1, kept_before), 0) as place
        from (
            select e.item_id, e.score, e.source, e.because, row_number() over () as j
            from unnest(apply_rules.item_ids, apply_rules.scores, apply_rules.sources, apply_rules.because)
                with ordinality as e (item_id, score, source, because, at)
            where e.at <> all(coalesce(taken_out, '{}'))
            limit n
        ) as k
        union all
        select p.item_id, (1.0 / p.place)::real, p.source, apply_rules.because[p.at], p.place
        from unnest(put_in, put_source, put_at, place) as p (item_id, source, at, place)
        order by place
        limit n
    ) as f;
end
$$;
comment on function apply_rules is 'A finished list by the rules in force, its first n items: without what is blocked, capped and boosted, pins in their places, filled from what is popular and known to be unseen. closed: nothing may come in from outside';
revoke all on function apply_rules from public;
