create or replace view worth as
select
    p.as_of, e.batch_id, p.measured_batch as live_batch_id, p.measured_since as since, e.view, e.segment, e.model as list,
    right(e.metric, -length('hit_share_at_'))::integer as k, e.value as share, e.low, e.high, n.value::bigint as n_pairs
from evaluation_records as e
join promotions as p using (batch_id)
join evaluation_records as n using (batch_id, model, segment, view)
where e.metric like 'hit\_share\_at\_%' and n.metric = 'n_pairs';
comment on view worth is 'A row is the share of the pairs that users took since a batch became live whose item was among the first k of a list';
comment on column worth.batch_id is 'The night that measured it, from its interactions';
comment on column worth.live_batch_id is 'The batch whose lists were live';
comment on column worth.since is 'From when on interactions count: when it became live; in a catalog of past data its as_of';
comment on column worth.list is 'live: what the user was served, before rules; popular: the popular list of that batch; own_items: the user''s own most frequent ones';
comment on column worth.segment is 'all, source:<source of the list>, or segment:<the user''s segment>';
