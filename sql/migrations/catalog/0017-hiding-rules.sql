-- Which rules hide their items is written on the row, so that no function or view repeats the list of their kinds.

alter table rule_items add column hides boolean not null generated always as (num_nonnulls(place, factor, at_most) = 0) stored;
comment on column rule_items.hides is 'Whether the rule takes the item out of lists: it neither places nor boosts nor caps it';
