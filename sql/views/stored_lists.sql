create or replace view stored_lists as
select
    t.user_id, t.item_ids, t.scores, t.source as model_source, t.n_model, t.n_category, t.reasons, t.because, t.segment, t.batch_id,
    case when t.n_model > 0 then t.source when t.n_category > 0 then 'category' else 'popular' end as source
from top_n as t
where t.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view stored_lists is 'A row is one user''s list as the night made it, before any rule: the first n_model items come from model_source, the next n_category from categories, the rest is popular';
