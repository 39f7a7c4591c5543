-- What readers may rely on. The pointer is read by an uncorrelated subquery, never a join: it prunes to one
-- partition while the plan runs, and a reader sees either the old batch or the new one, whole.

create view batches as
select
    b.batch_id, b.as_of, b.computed_at, b.published_at,
    b.batch_id is not distinct from (select l.batch_id from live_batch as l where l.slot = 'live') as is_live,
    b.n_users, b.n_items, b.n_interactions, b.model_version, b.champion_version, b.input_hash, b.checksum,
    b.code_version, b.top_n_stored, b.top_n_served, b.rolled_back_at, b.pruned_at
from batch_records as b;
comment on view batches is 'A row is one batch that was written; is_live marks the one that is served';

create view served_lists as
select
    t.user_id,
    t.item_ids[1:b.top_n_served] as item_ids,
    t.scores[1:b.top_n_served] as scores,
    (
        array_fill(t.source, array[t.n_model::integer])
        || array_fill('category'::text, array[t.n_category::integer])
        || array_fill('popular'::text, array[cardinality(t.item_ids) - t.n_model - t.n_category])
    )[1:b.top_n_served] as sources,
    null::text[] as because,
    t.batch_id,
    b.computed_at,
    b.model_version,
    case when t.n_model > 0 then t.source when t.n_category > 0 then 'category' else 'popular' end as source,
    b.top_n_served
from top_n as t
join batch_records as b on b.batch_id = t.batch_id
where t.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view served_lists is 'A row is one user''s served list; what the web app reads';
comment on column served_lists.sources is 'Where each item comes from: als, foldin, category or popular';
comment on column served_lists.because is 'Why each item is there; null until reasons are computed';

create view recommendations as
select s.user_id, r.rank::integer as rank, r.item_id, r.score, r.source, null::text[] as because, s.batch_id
from served_lists as s
cross join lateral unnest(s.item_ids, s.scores, s.sources) with ordinality as r (item_id, score, source, rank);
comment on view recommendations is 'A row is one served item of one user';

create view similar_items as
select s.item_id, r.rank::integer as rank, r.similar_item_id, r.score, s.batch_id
from similar_lists as s
cross join lateral unnest(s.item_ids, s.scores) with ordinality as r (similar_item_id, score, rank)
where s.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view similar_items is 'A row is one item that resembles another, by the live batch''s model';

create view popular_items as
select p.segment, r.rank::integer as rank, r.item_id, r.score, p.batch_id
from popular_lists as p
cross join lateral unnest(p.item_ids, p.scores) with ordinality as r (item_id, score, rank)
where p.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view popular_items is 'A row is one popular item of a segment: `all`, or `category:<name>`';

create view items as
select i.item_id, i.title, i.categories, i.price, i.url, i.image, i.available, i.n_users, i.batch_id
from item_records as i
where i.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view items is 'A row is one item of the live batch';

create view user_history as
select h.user_id, r.rank::integer as rank, r.item_id, r.occurred_at, h.batch_id
from history_lists as h
cross join lateral unnest(h.item_ids, h.occurred_at) with ordinality as r (item_id, occurred_at, rank)
where h.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view user_history is 'A row is one of a user''s latest interactions as of the live batch, newest first';

create view champion as
select m.model_version, m.batch_id, m.uri, m.sha256, m.data_cutoff, m.recipe, c.since
from champion_model as c
join models as m using (model_version)
where c.slot = 'champion';
comment on view champion is 'The one row is the model in charge; no row: none yet';

create view promotions as select * from promotion_records;
comment on view promotions is 'A row is one verdict of the gate: candidate against champion and baseline';

create view evaluations as select * from evaluation_records;
comment on view evaluations is 'A row is one metric of one model on one night''s holdout';

create view findings as select * from finding_records;
comment on view findings is 'A row is one rule that rows of the input broke, and how many';

create view reports as select * from report_records;
comment on view reports is 'A row is the HTML report of one night';

create view publish_log as select * from publish_records;
comment on view publish_log is 'A row is one change of what is in charge: what, from what, by whom and why';
