create or replace view rules as
select
    r.rule_id, r.kind, r.item_id, r.category, r.segment, r.place, r.factor, r.at_most, r.starts_at, r.ends_at, r.author,
    r.note, r.created_at, r.removed_at, r.removed_by,
    r.removed_at is null and r.starts_at <= now() and coalesce(r.ends_at, 'infinity') > now() as in_force
from rule_records as r;
comment on view rules is 'A row is one rule over finished lists. Editors insert rows, and set ends_at, note, removed_at and removed_by';
comment on column rules.kind is 'block, expire, out_of_stock: not shown (expire: from starts_at on); pin: shown at place; boost: the place is divided by factor; cap: at most at_most items of the category, or of each category, in a served list';
comment on column rules.segment is 'Only for users of this segment; null: for everybody';
comment on column rules.removed_at is 'When the rule was undone; restore_rule() puts it back';
