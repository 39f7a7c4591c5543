-- A rule on a category is found by the categories of the items in a list, and no longer written out for each item that
-- has it. So rule_records is what every list is held against.

alter table rule_records add column hides boolean not null generated always as (num_nonnulls(place, factor, at_most) = 0) stored;
comment on column rule_records.hides is 'Whether the rule takes its items out of lists: it neither places nor boosts nor caps them';

create index on rule_records (item_id, coalesce(ends_at, 'infinity')) where removed_at is null and item_id is not null;
create index on rule_records (coalesce(ends_at, 'infinity'), category) where removed_at is null and item_id is null;
create index on rule_records (coalesce(ends_at, 'infinity')) where removed_at is null and kind = 'pin';

comment on table rule_items is 'Not used: rules were written out here for the live batch''s items, and functions of the release before did so until they were replaced';
comment on table rule_state is 'The one row says whether there are rules at all, which every request reads, and of which version they are';
comment on column rule_state.any_written is 'Whether a rule was neither removed nor over when the rules last changed';
comment on column rule_state.version is 'Grows with every change of a rule; by the clock, so that it does not come again after a restore';
