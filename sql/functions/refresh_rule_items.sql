create or replace function refresh_rule_items(changed bigint[]) returns void
language plpgsql security definer set search_path from current
as $$
begin
    -- One at a time: each sees what those before it made of the rules and of the pointer. Readers do not wait for this.
    lock table rule_items in share row exclusive mode;
    delete from rule_items where changed is null or rule_id = any(changed);
    insert into rule_items
    select i.item_id, r.rule_id, i.category, r.kind, r.segment, r.place, r.factor, r.at_most, r.starts_at, coalesce(r.ends_at, 'infinity')
    from rule_records as r
    cross join lateral (
        select r.item_id, '' as category where r.item_id is not null
        union all
        select o.item_id, c.category
        from item_records as o
        cross join lateral (select distinct unnest(o.categories)) as c (category)
        where r.item_id is null and o.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live')
            and (r.category is null or c.category = r.category)
    ) as i
    where r.removed_at is null and coalesce(r.ends_at, 'infinity') > now() and (changed is null or r.rule_id = any(changed));
    update rule_state set version = version + 1, any_written = exists (select from rule_items);
    analyze rule_items;
end
$$;
comment on function refresh_rule_items is 'Write out rules (null: all) for the live batch''s items';
revoke all on function refresh_rule_items from public;
