-- Without a search path of its own, so that it becomes part of the statement that calls it.
create or replace function rules_about(item_ids text[], in_segment text)
returns table (
    item_id text, at bigint, rule_id bigint, category text, kind text, place integer, factor double precision,
    at_most integer, hides boolean
)
language sql stable
begin atomic
    with categories as (
        select e.item_id, e.at, c.category
        from unnest(rules_about.item_ids) with ordinality as e (item_id, at)
        -- limit: item by item by the primary key, never the whole catalogue
        cross join lateral (
            select o.categories
            from item_records as o
            where o.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live') and o.item_id = e.item_id
            limit 1
        ) as i
        cross join lateral (select distinct u.category from unnest(i.categories) as u (category)) as c
        where (select exists (select from current_rules as r where r.item_id is null)) and c.category is not null
    )
    select e.item_id, e.at, r.rule_id, '', r.kind, r.place, r.factor, r.at_most, r.hides
    from unnest(rules_about.item_ids) with ordinality as e (item_id, at)
    join current_rules as r on r.item_id = e.item_id
    where (r.segment is null or r.segment = rules_about.in_segment) and r.starts_at <= now()
    union all
    select c.item_id, c.at, r.rule_id, c.category, r.kind, r.place, r.factor, r.at_most, r.hides
    from categories as c
    join current_rules as r on r.item_id is null and r.category = c.category
    where (r.segment is null or r.segment = rules_about.in_segment) and r.starts_at <= now()
    union all
    select c.item_id, c.at, r.rule_id, c.category, r.kind, r.place, r.factor, r.at_most, r.hides
    from categories as c
    join current_rules as r on r.item_id is null and r.category is null
    where (r.segment is null or r.segment = rules_about.in_segment) and r.starts_at <= now();
end;
comment on function rules_about is 'The rules in force for a segment of users that are about some items, by the item or by a category that the live batch has it in; a cap without a category is one row for each category of an item';
revoke all on function rules_about from public;
