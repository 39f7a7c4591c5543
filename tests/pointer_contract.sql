-- A row is something that must never be seen of a catalog, at any moment. Reads tables only, and calls no function of the
-- product: what is served is what it looks at, in `served_lists` and `live_state`; what should be served it works out from
-- the rules' own rows and from the lists as they were loaded.
with live as (
    select l.batch_id, b.attached, b.published_at, b.pruned_at, b.rolled_back_at, b.top_n_served
    from live_batch as l join batch_records as b on b.batch_id = l.batch_id
),
moves as (
    select p.log_id, p.action, p.batch_id, p.previous_batch_id, lag(p.batch_id) over (order by p.log_id) as before
    from publish_records as p where p.action in ('publish', 'roll_back')
),
hidden as (
    select distinct i.item_id
    from rule_records as r
    join item_records as i on i.item_id = r.item_id or r.category = any(i.categories)
    where i.batch_id = (select l.batch_id from live as l) and r.removed_at is null
        and r.kind in ('block', 'expire', 'out_of_stock') and r.starts_at <= now() and coalesce(r.ends_at, 'infinity') > now()
),
expected as (
    select
        t.user_id,
        array(
            select e.item_id
            from unnest(t.item_ids) with ordinality as e (item_id, place)
            where e.item_id not in (select h.item_id from hidden as h)
            order by e.place
            limit (select l.top_n_served from live as l)
        ) as item_ids
    from top_n as t
    where t.batch_id = (select l.batch_id from live as l)
)
select 'not one live batch' as broken, count(*)::text as what from live having count(*) <> 1
union all
select 'the live batch is not whole', to_jsonb(l)::text
from live as l
where not l.attached or l.published_at is null or l.pruned_at is not null or l.rolled_back_at is not null
union all
select 'a table of the live batch is not attached', t.name
from live as l
cross join unnest(array['top_n', 'similar_lists', 'popular_lists', 'item_records', 'history_lists']) as t (name)
where not exists (
    select from pg_inherits as i
    where i.inhparent = t.name::regclass and not i.inhdetachpending
        and i.inhrelid = to_regclass(t.name || '_' || lower(replace(l.batch_id, '-', '_')))
)
union all
select 'the log does not end at the live batch', m.batch_id
from moves as m where m.log_id = (select max(o.log_id) from moves as o) and m.batch_id <> (select l.batch_id from live as l)
union all
select 'a move of the log does not begin where the one before ended', m.log_id::text
from moves as m where m.previous_batch_id is distinct from m.before
union all
select 'the champion is not whom the log put in charge', p.model_version
from publish_records as p
where p.log_id = (select max(o.log_id) from publish_records as o where o.action <> 'prune')
    and p.model_version is distinct from (select c.model_version from champion_model as c)
union all
select 'a list is not what the rules make of it', x.user_id || ': ' || x.item_ids::text || ', served ' || coalesce(s.item_ids::text, 'nothing')
from expected as x
left join served_lists as s on s.user_id = x.user_id
where s.item_ids is distinct from x.item_ids
union all
select 'a rule would not reach a process that has the rules in memory', w.rules_version::text
from live_state as w
where not w.has_rules and exists (select from hidden)
