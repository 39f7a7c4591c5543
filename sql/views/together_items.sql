create or replace view together_items as
select s.item_id, row_number() over (partition by s.item_id order by r.rank)::integer as rank, r.together_item_id, r.score, s.batch_id
from similar_lists as s
cross join lateral unnest(s.together_ids, s.together_scores) with ordinality as r (together_item_id, score, rank)
where s.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live')
    and not exists (
        select from current_rules as b
        where b.item_id = r.together_item_id and b.hides and b.segment is null and b.starts_at <= now()
    )
    -- Item by item by the primary key, never the whole catalogue; and only where such a rule hides a category.
    and case
        when (
            select exists (
                select from current_rules as b
                where b.item_id is null and b.hides and b.segment is null and b.starts_at <= now()
            )
        ) then (
            select count(*)
            from item_records as i
            cross join lateral unnest(i.categories) as c (category)
            join current_rules as b on b.item_id is null and b.category = c.category
            where i.batch_id = s.batch_id and i.item_id = r.together_item_id
                and b.hides and b.segment is null and b.starts_at <= now()
        ) = 0
        else true
    end;
comment on view together_items is 'A row is one item that is bought together with another, by the orders of the live batch; without what is blocked for everybody';
