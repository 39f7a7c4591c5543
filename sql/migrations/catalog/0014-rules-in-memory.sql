-- What a server needs to apply the rules in its own memory: the lists before the rules, and the rules with their version.

alter table rule_state add column version bigint not null default 0;
comment on column rule_state.version is 'Grows with every change of rule_items';

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

create view stored_lists as
select
    t.user_id, t.item_ids, t.scores, t.source as model_source, t.n_model, t.n_category, t.reasons, t.because, t.segment, t.batch_id,
    b.computed_at, b.model_version, b.top_n_served,
    case when t.n_model > 0 then t.source when t.n_category > 0 then 'category' else 'popular' end as source,
    w.any_written as has_rules, w.version as rules_version
from top_n as t
join batch_records as b on b.batch_id = t.batch_id
cross join rule_state as w
where t.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view stored_lists is 'A row is one user''s list as the night made it, before any rule: the first n_model items come from model_source, the next n_category from categories, the rest is popular';

create view kept_out as
select h.user_id, h.seen as item_idx, h.batch_id
from history_lists as h
where h.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view kept_out is 'A row is one user with the numbers of the items that are kept out of their list; null: none are';

create view written_rules as
select
    w.version, r.rule_id, r.kind, r.item_id, r.category, r.segment, r.place, r.factor, r.at_most, r.starts_at,
    nullif(r.ends_at, 'infinity') as ends_at, r.kind = 'pin' and coalesce(i.available, false) as may_be_pinned, i.item_idx
from rule_state as w
left join rule_items as r on true
left join item_records as i
    on r.kind = 'pin' and i.item_id = r.item_id and i.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view written_rules is 'A row is one item that a rule is about, with the version of them all; with no rule there is one row, and no rule in it';

grant select on stored_lists, kept_out, written_rules to recjobs_reader;
