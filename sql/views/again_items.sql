create or replace view again_items as
select h.user_id, row_number() over (partition by h.user_id order by r.rank)::integer as rank, r.item_id, r.score, h.batch_id
from history_lists as h
left join top_n as t on t.user_id = h.user_id and t.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live')
cross join lateral unnest(h.again_ids, h.again_scores) with ordinality as r (item_id, score, rank)
where h.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live')
    and not exists (
        select from current_rules as b
        where b.item_id = r.item_id and b.hides and (b.segment is null or b.segment = t.segment) and b.starts_at <= now()
    )
    -- Item by item by the primary key, never the whole catalogue; and only where such a rule hides a category.
    and case
        when (select exists (select from current_rules as b where b.item_id is null and b.hides and b.starts_at <= now())) then (
            select count(*)
            from item_records as i
            cross join lateral unnest(i.categories) as c (category)
            join current_rules as b on b.item_id is null and b.category = c.category
            where i.batch_id = h.batch_id and i.item_id = r.item_id
                and b.hides and (b.segment is null or b.segment = t.segment) and b.starts_at <= now()
        ) = 0
        else true
    end;
comment on view again_items is 'A row is one of a user''s own items that they are likely to need again now, by the live batch; without what is blocked for them';
